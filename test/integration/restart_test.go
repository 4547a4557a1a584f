package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// Changes while no operator runs are reconciled by the next one.
func TestReconcilerConvergesAfterARestart(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", everything)
	dropped := createFleet(t, o.namespace, "dropped", everything)
	f.eventuallyHas(allChildren()...)
	dropped.eventuallyHas(allChildren()...)
	f.eventuallySettled()
	token := read(t, adminSecret.get(t, f), ".data.token")
	o.stop()

	f.setSpec("{replicas: 4, autoscaling: {maxReplicas: 5}}")
	dropped.setSpec("replicas: 1")
	require.NoError(t, env.client.Delete(t.Context(), redisService.get(t, f)))
	require.NoError(t, env.client.Patch(t.Context(), gatewayService.get(t, f),
		client.RawPatch(types.MergePatchType, []byte(`{"spec":{"sessionAffinity":"None","sessionAffinityConfig":null}}`)),
		otherManager))
	added := createFleet(t, o.namespace, "added", "{}")

	o.start()
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "4", read(t, gatewayDeployment.get(t, f), ".spec.replicas"))
		assert.Equal(t, "ClientIP", read(t, gatewayService.get(t, f), ".spec.sessionAffinity"))
	})
	f.eventuallyHas(redisService)
	f.eventuallyLacks(gatewayIngress)
	dropped.eventuallyLacks(gatewayIngress, gatewayAutoscaler, gatewayBudget)
	added.eventuallyHas(gatewayDeployment, gatewayService)
	added.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	require.Equal(t, token, read(t, adminSecret.get(t, f), ".data.token"), "a new token would cut running gateways off")
}

// A restart alone is not a reason to write.
func TestReconcilerWritesNothingAfterARestart(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", everything)
	f.eventuallyHas(allChildren()...)
	gateways := startFakeGateways(t, f, 2)
	gateways[0].report(func(r *report) { r.Connections = 40 })
	f.eventually(func(t *assert.CollectT) { assert.EqualValues(t, 40, f.get(t).Status.Connections) })
	f.eventuallySettled()
	o.awaitQuiet()
	o.stop()

	before := len(writesBy(t, operatorUser, o.namespace))
	o.start()
	gateways[0].awaitScrapes(3)
	o.awaitQuiet()
	require.Empty(t, writesBy(t, operatorUser, o.namespace)[before:])
}
