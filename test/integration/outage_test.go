package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

const (
	// outage is how long the API server is gone: long enough that each of the operator's watches has failed several times,
	// and that a leader has lost its lease.
	outage = 16 * time.Second
	// recoveryTimeout bounds the time until the operator has noticed that the API server is back. Its watches try again
	// after a pause that doubles up to 30 s.
	recoveryTimeout = 90 * time.Second
)

// While the API server is gone, the operator goes on. Afterwards it does what was asked meanwhile, and changes nothing
// of a fleet that nothing was asked for. The events of the time between are lost to it: another API server took the
// changes, and their history is gone from etcd.
func TestOperatorOutlivesTheAPIServer(t *testing.T) {
	t.Parallel()
	api := startAPIReplica(t)
	o := startOperatorAt(t, api.config())
	changed := createFleet(t, o.namespace, "changed", everything)
	dropped := createFleet(t, o.namespace, "dropped", "{}")
	calm := createFleet(t, o.namespace, "calm", "{}")
	for _, f := range []*fleet{changed, dropped, calm} {
		f.eventuallySettled()
	}
	changed.eventuallyHas(allChildren()...)
	gateways := startFakeGateways(t, calm, 2)
	gateways[0].report(func(r *report) { r.Connections = 40 })
	calm.eventually(func(t *assert.CollectT) { assert.EqualValues(t, 40, calm.get(t).Status.Connections) })
	token := read(t, adminSecret.get(t, changed), ".data.token")
	o.awaitQuiet()
	before := calm.get(t)
	written := len(writesBy(t, operatorUser, o.namespace))

	api.stop()
	changed.setSpec("{replicas: 4, autoscaling: {maxReplicas: 5}}")
	require.NoError(t, env.client.Delete(t.Context(), redisService.get(t, changed)))
	require.NoError(t, env.client.Delete(t.Context(), dropped.get(t)))
	added := createFleet(t, o.namespace, "added", "{}")
	compactEtcd(t, o.namespace)
	require.ErrorContains(t, o.ready(httpRequest(t)), "refused")
	time.Sleep(outage)
	api.start()
	changed.eventually(func(t *assert.CollectT) { assert.NoError(t, o.ready(httpRequest(changed.t))) })

	require.EventuallyWithT(t, func(t *assert.CollectT) {
		assert.Equal(t, "4", read(t, gatewayDeployment.get(t, changed), ".spec.replicas"))
		redisService.get(t, changed)
		added.requireCondition(t, v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	}, recoveryTimeout, pollInterval)
	changed.eventuallyLacks(gatewayIngress)
	changed.eventuallySettled()
	o.awaitQuiet()
	require.Equal(t, token, read(t, adminSecret.get(t, changed), ".data.token"), "a new token would cut gateways off")
	require.Equal(t, before.Status, calm.get(t).Status)
	requireNoWritesOf(t, calm, writesBy(t, operatorUser, o.namespace)[written:])
}

// requireNoWritesOf asserts that none of the writes concerns the fleet or its objects.
func requireNoWritesOf(t *testing.T, f *fleet, writes []write) {
	t.Helper()
	names := map[string]bool{f.name: true}
	for _, c := range allChildren() {
		names[c.name(f.name)] = true
	}
	for _, w := range writes {
		assert.False(t, names[w.ObjectRef.Name], "%s", w)
	}
}
