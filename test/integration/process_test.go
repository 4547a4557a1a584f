package integration

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// An operator that is killed while it creates a fleet leaves nothing that the next one does not complete. The next one
// begins when the lease of the first has expired.
func TestOperatorIsKilledWhileItCreates(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	admitToLease(t, namespace)
	first := startOperatorProcess(t, env.operator, namespace)
	require.Eventually(t, func() bool { return first.ready() == http.StatusOK }, recoveryTimeout, pollInterval)
	f := createFleet(t, namespace, "fleet", everything)
	require.Eventually(t, func() bool { return len(f.existing()) > 0 }, recoveryTimeout, pollInterval)
	first.kill()
	before := f.existing()

	startOperatorProcess(t, env.operator, namespace)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		assert.Len(t, f.existing(), len(allChildren()))
		f.requireCondition(t, v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	}, recoveryTimeout, pollInterval)
	after := f.existing()
	for name, object := range before {
		assert.Equal(t, object, after[name], "%s was replaced or changed", name)
	}
}

// longOutage is how long the API server is gone for the operator's process.
const longOutage = time.Minute

// An operator that cannot renew its lease ends, so that it does not write beside another leader. The kubelet starts it
// again. While there is no API server, the new process waits for it: it lives, and is not ready. Afterwards it does
// what was asked meanwhile, and leaves the gateways alone of a fleet that nothing was asked for.
func TestOperatorProcessOutlivesTheAPIServer(t *testing.T) {
	api := startAPIReplica(t)
	namespace := newNamespace(t)
	admitToLease(t, namespace)
	first := startOperatorProcess(t, api.config(), namespace)
	changed, calm := createFleet(t, namespace, "changed", "{}"), createFleet(t, namespace, "calm", "{}")
	changed.eventuallyManaged()
	calm.eventuallyManaged()
	require.Eventually(t, func() bool { return first.ready() == http.StatusOK }, recoveryTimeout, pollInterval)
	deployment := gatewayDeployment.get(t, calm)
	api.stop()
	gone := time.Now()
	// Other tests run while the API server is gone.
	t.Parallel()

	<-first.ended
	require.Contains(t, first.log.String(), "leader election lost")
	require.Equal(t, 1, first.command.ProcessState.ExitCode())
	require.NotContains(t, first.log.String(), "panic")
	second := startOperatorProcess(t, api.config(), namespace)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		assert.Contains(t, second.log.String(), "the operator waits for it")
		assert.Equal(t, http.StatusOK, second.probe("/healthz"), "the kubelet would start it again, and later each time")
		assert.Equal(t, http.StatusInternalServerError, second.ready())
	}, recoveryTimeout, pollInterval)
	changed.setSpec("replicas: 3")
	time.Sleep(time.Until(gone.Add(longOutage)))
	require.False(t, isClosed(second.ended))
	require.Equal(t, http.StatusInternalServerError, second.ready())

	api.start()
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		assert.Equal(t, http.StatusOK, second.ready())
		assert.Equal(t, "3", read(t, gatewayDeployment.get(t, changed), ".spec.replicas"))
	}, recoveryTimeout, pollInterval)
	requireUntouched(t, calm, gatewayDeployment, deployment)
}

func isClosed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}
