package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// A paused fleet is not written, except its status. When spec.paused becomes false, the fleet catches up.
func TestReconcilerPauses(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()

	f.setSpec("{paused: true, replicas: 5, drain: {timeout: 1m}}")
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonPaused, "spec.paused")
	// Drift is not repaired either: users pause a fleet to try something by hand.
	require.NoError(t, env.client.Delete(t.Context(), gatewayBudget.get(t, f)))
	o.awaitQuiet()
	require.Equal(t, "2", read(t, gatewayDeployment.get(t, f), ".spec.replicas"))
	f.eventuallyLacks(gatewayBudget)

	f.setSpec("{replicas: 5, drain: {timeout: 1m}}")
	f.eventually(func(t *assert.CollectT) {
		deployment := gatewayDeployment.get(t, f)
		assert.Equal(t, "5", read(t, deployment, ".spec.replicas"))
		assert.Equal(t, "85", read(t, deployment, pod+".terminationGracePeriodSeconds"))
	})
	f.eventuallyHas(gatewayBudget)
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}

// A fleet that is paused from the start has a status and no objects.
func TestReconcilerPausesFromTheStart(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "paused: true")
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonPaused, "spec.paused")
	o.awaitQuiet()
	for _, w := range writesBy(t, operatorUser, o.namespace) {
		require.Contains(t, []string{"websocketclusters", "events"}, w.ObjectRef.Resource, "%s", w)
	}
}
