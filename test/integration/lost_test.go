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

// A pod whose node is down stays after its deletion. It drains no longer than its grace period and a margin, although
// nothing about it changes then. The wait is that margin.
func TestStatusLeavesLostGatewaysOut(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "redis: {external: {addresses: ['r:6379']}}")
	g := startFakeGateways(t, f, 2)[1]
	f.eventually(func(t *assert.CollectT) { assert.EqualValues(t, 2, f.get(t).Status.ReadyReplicas) })
	require.NoError(t, env.client.Delete(t.Context(), g.pod, client.GracePeriodSeconds(1)))
	f.eventuallyCondition(v1alpha1.ConditionDraining, metav1.ConditionTrue, v1alpha1.ReasonHandingOver)
	f.eventually(func(t *assert.CollectT) { assert.EqualValues(t, 1, f.get(t).Status.DrainingReplicas) })
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		f.requireCondition(t, v1alpha1.ConditionDraining, metav1.ConditionFalse, v1alpha1.ReasonGatewaysLost, g.pod.Name,
			"node")
		assert.Zero(t, f.get(t).Status.DrainingReplicas)
	}, 2*waitTimeout, pollInterval)
}

// The Deployment still counts a pod whose label was removed. The status says which label is missing.
func TestStatusTellsOfAPodWithoutItsLabel(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "redis: {external: {addresses: ['r:6379']}}")
	g := startFakeGateways(t, f, 2)[1]
	setDeploymentStatus(t, f, gatewayDeployment, 2, 2)
	f.eventuallyCondition(v1alpha1.ConditionAvailable, metav1.ConditionTrue, v1alpha1.ReasonEnoughServing)
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"wsfleet.dev/cluster":null}}}`))
	require.NoError(t, env.client.Patch(t.Context(), g.pod, patch))
	f.eventuallyCondition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonTooFewServing,
		"1 of 2", "kubectl label pods")
}
