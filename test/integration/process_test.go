package integration

import (
	"net/http"
	"strings"
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

// An operator that cannot renew its lease ends, so that it does not write beside another leader. The kubelet starts it
// again. While there is no API server, the new process waits for it.
func TestOperatorProcessOutlivesTheAPIServer(t *testing.T) {
	t.Parallel()
	api := startAPIReplica(t)
	namespace := newNamespace(t)
	admitToLease(t, namespace)
	first := startOperatorProcess(t, api.config(), namespace)
	f := createFleet(t, namespace, "fleet", "{}")
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		f.requireCondition(t, v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	}, recoveryTimeout, pollInterval)

	api.stop()
	<-first.ended
	require.Contains(t, first.log.String(), "leader election lost")
	require.Equal(t, 1, first.command.ProcessState.ExitCode())
	require.NotContains(t, first.log.String(), "panic")
	second := startOperatorProcess(t, api.config(), namespace)
	require.Eventually(t, func() bool {
		return strings.Contains(second.log.String(), "the operator waits for it") || isClosed(second.ended)
	}, recoveryTimeout, pollInterval)
	// The kubelet would start an operator that ends again, and later each time.
	require.Never(t, func() bool { return isClosed(second.ended) }, 2*time.Second, pollInterval)
	f.setSpec("replicas: 3")
	api.start()
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		assert.Equal(t, "3", read(t, gatewayDeployment.get(t, f), ".spec.replicas"))
	}, recoveryTimeout, pollInterval)
}

func isClosed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}
