package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// startUneven returns a settled fleet with 600, 500 and 100 clients, whose third gateway is new.
func startUneven(t *testing.T, spec string) (*fleet, []*fakeGateway) {
	t.Helper()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", spec)
	gateways := startFakeGateways(t, f, 3)
	for i, connections := range []int{600, 500, 100} {
		gateways[i].report(func(r *report) { r.Connections, r.UptimeSeconds = connections, 900 })
	}
	gateways[2].report(func(r *report) { r.UptimeSeconds = 60 })
	setDeploymentStatus(t, f, gatewayDeployment, 3, 3)
	setDeploymentStatus(t, f, redisDeployment, 1, 1)
	return f, gateways
}

// The fullest gateway sends what it has above the average to the others, and more, because the next one will send some
// to it. That is not counted as a gateway that goes.
func TestRebalance(t *testing.T) {
	t.Parallel()
	const spec = "{replicas: 3, rebalance: {enabled: true, maxShedPerMinute: 1200}}"
	f, gateways := startUneven(t, spec)
	first := gateways[0]
	first.awaitDrain()
	drains, _ := first.drainRequests()
	require.Equal(t, contract.DrainRequest{Reason: "rebalance", Keep: 267, ClosesPerSecond: 20}, drains[0])
	first.setReady(t, false)
	f.eventuallyEvent(corev1.EventTypeNormal, v1alpha1.ReasonRebalancing, first.pod.Name, "333 of its 600 clients")
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonRebalancing)
	f.eventually(func(t *assert.CollectT) {
		f.requireCondition(t, v1alpha1.ConditionAvailable, metav1.ConditionTrue, v1alpha1.ReasonEnoughServing, "3 of 3")
		f.requireCondition(t, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonRebalancing)
		status := f.get(t).Status
		assert.EqualValues(t, 3, status.Replicas, "an autoscaler divides by it")
		assert.EqualValues(t, 1, status.DrainingReplicas)
		assert.Equal(t, "2/3", status.Ready)
	})
	gateways[1].awaitScrapes(2)
	drains, _ = gateways[1].drainRequests()
	require.Empty(t, drains, "one after the other")

	gateways[1].report(func(r *report) { r.Connections = 667 })
	gateways[2].report(func(r *report) { r.Connections = 266 })
	first.hasShed(t, 267)
	gateways[1].awaitDrain()
	drains, _ = gateways[1].drainRequests()
	require.Equal(t, 400, drains[0].Keep)
	for _, g := range []*fakeGateway{first, gateways[2]} {
		g.report(func(r *report) { r.Connections = 400 })
	}
	gateways[1].hasShed(t, 400)
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonSettled)
	drains, _ = first.drainRequests()
	require.Len(t, drains, 1)
}

// hasShed ends the gateway's partial drain.
func (g *fakeGateway) hasShed(t *testing.T, keep int) {
	t.Helper()
	g.report(func(r *report) {
		r.State, r.Drain, r.Connections = contract.StateServing, nil, keep
		r.PartialDrain = &contract.PartialDrainReport{SecondsAgo: 1, Reached: true}
	})
	g.setReady(t, true)
}

// A scale-in lets the gateway keep the rest of its clients.
func TestRebalanceEndsForAScaleIn(t *testing.T) {
	t.Parallel()
	f, gateways := startUneven(t, "{replicas: 3, rebalance: {enabled: true}}")
	gateways[0].awaitDrain()
	f.setSpec("{replicas: 2, rebalance: {enabled: true}}")
	f.eventually(func(t *assert.CollectT) {
		_, undrains := gateways[0].drainRequests()
		assert.Positive(t, undrains)
	})
	f.eventuallyEvent(corev1.EventTypeNormal, v1alpha1.ReasonRebalanceStopped, gateways[0].pod.Name,
		"size is being changed")
	gateways[2].awaitDrain()
	drains, _ := gateways[2].drainRequests()
	require.Equal(t, "scale-in", drains[0].Reason)
}

// Clients stay where they are, unless a user asks for a rebalance once.
func TestRebalanceOnRequest(t *testing.T) {
	t.Parallel()
	f, gateways := startUneven(t, "{replicas: 3, rebalance: {tolerancePercent: 50}}")
	f.eventually(func(t *assert.CollectT) { assert.EqualValues(t, 1200, f.get(t).Status.Connections) })
	gateways[0].awaitScrapes(2)
	drains, _ := gateways[0].drainRequests()
	require.Empty(t, drains)
	patch := []byte(`{"metadata":{"annotations":{"` + v1alpha1.AnnotationRebalance + `":"` +
		time.Now().Add(-time.Second).UTC().Format(time.RFC3339) + `"}}}`)
	require.NoError(t, env.client.Patch(t.Context(), f.get(t), client.RawPatch("application/merge-patch+json", patch)))
	gateways[0].awaitScrapes(2)
	drains, _ = gateways[0].drainRequests()
	require.Empty(t, drains, "600 is 50 % above the average, and no more")
	f.setSpec("{replicas: 3, rebalance: {tolerancePercent: 20}}")
	f.eventually(func(c *assert.CollectT) {
		// The Deployment's annotations have changed, which its controller observes.
		setDeploymentStatus(t, f, gatewayDeployment, 3, 3)
		drains, _ := gateways[0].drainRequests()
		assert.NotEmpty(c, drains)
	})
}
