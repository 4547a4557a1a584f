package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// startScaleIn returns a fleet of three gateways with 30, 10 and 20 clients, whose spec then asks for two.
func startScaleIn(t *testing.T, o *operator, spec string) (*fleet, []*fakeGateway) {
	t.Helper()
	f := createFleet(t, o.namespace, "fleet", "{replicas: 3, "+spec+"}")
	gateways := startFakeGateways(t, f, 3)
	for i, connections := range []int{30, 10, 20} {
		gateways[i].report(func(r *report) { r.Connections = connections })
	}
	setDeploymentStatus(t, f, gatewayDeployment, 3, 3)
	f.eventually(func(t *assert.CollectT) { assert.EqualValues(t, 60, f.get(t).Status.Connections) })
	f.setSpec("{replicas: 2, " + spec + "}")
	return f, gateways
}

// size returns the size of the gateways' Deployment.
func (f *fleet) size(t require.TestingT) int32 {
	return *f.getDeployment(t, gatewayDeployment).Spec.Replicas
}

// annotation returns an annotation of the gateway's pod.
func (g *fakeGateway) annotation(t require.TestingT, name string) string {
	var pod corev1.Pod
	require.NoError(t, env.client.Get(g.f.t.Context(), client.ObjectKeyFromObject(g.pod), &pod))
	return pod.Annotations[name]
}

// drainRequests returns the bodies of the requests to drain, and the number of those to serve again.
func (g *fakeGateway) drainRequests() (drains []contract.DrainRequest, undrains int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.drains, g.undrains
}

// awaitDrain waits until the gateway was asked to drain.
func (g *fakeGateway) awaitDrain() {
	g.f.eventually(func(t *assert.CollectT) {
		drains, _ := g.drainRequests()
		assert.NotEmpty(t, drains)
	})
}

// pace returns the number of connections that the gateway was told to close per second.
func (g *fakeGateway) pace() float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.perSecond
}

// A fleet shrinks by the gateway with the fewest clients, once it has handed them over.
func TestScaleInDrainsFirst(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f, gateways := startScaleIn(t, o, "drain: {timeout: 60s}, rollout: {maxReconnectsPerSecond: 7}")
	going := gateways[1]
	f.eventually(func(t *assert.CollectT) {
		drains, _ := going.drainRequests()
		if assert.NotEmpty(t, drains) {
			assert.Equal(t, "scale-in", drains[0].Reason)
			assert.InDelta(t, 60, drains[0].TimeoutSeconds, 2)
			assert.True(t, drains[0].ServeAgain, "the operator may be gone by then")
		}
	})
	deadline, err := time.Parse(time.RFC3339, going.annotation(t, render.AnnotationScaleIn))
	require.NoError(t, err)
	require.InDelta(t, 60, time.Until(deadline).Seconds(), 5)
	f.eventually(func(t *assert.CollectT) {
		assert.InDelta(t, 7, going.pace(), 0, "the budget is that of the one that drains")
	})
	f.eventuallyEvent(corev1.EventTypeNormal, v1alpha1.ReasonScalingIn, going.pod.Name, "10 clients")
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonScalingIn, "10 clients left")
	f.eventuallyCondition(v1alpha1.ConditionDraining, metav1.ConditionTrue, v1alpha1.ReasonHandingOver)
	f.eventually(func(t *assert.CollectT) {
		status := f.get(t).Status
		if assert.Len(t, status.Drain, 1) {
			assert.Equal(t, going.pod.Name, status.Drain[0].Pod)
			assert.Equal(t, "scale-in", status.Drain[0].Reason)
			assert.EqualValues(t, 7, status.Drain[0].ClosesPerSecond)
			if end := status.Drain[0].ExpectedEnd; assert.NotNil(t, end) {
				assert.WithinDuration(t, time.Now(), end.Time, 30*time.Second)
			}
		}
	})
	require.EqualValues(t, 3, f.size(t), "it still has clients")
	require.Empty(t, going.annotation(t, corev1.PodDeletionCost))

	going.report(func(r *report) { r.State, r.Connections = contract.StateDrained, 0 })
	f.eventually(func(t *assert.CollectT) { assert.EqualValues(t, 2, f.size(t)) })
	require.Equal(t, render.DeletionCostRetired, going.annotation(t, corev1.PodDeletionCost),
		"Kubernetes deletes this one")
	for _, g := range []*fakeGateway{gateways[0], gateways[2]} {
		drains, undrains := g.drainRequests()
		require.Empty(t, drains)
		require.Zero(t, undrains)
		require.Empty(t, g.annotation(t, corev1.PodDeletionCost)+g.annotation(t, render.AnnotationScaleIn))
	}

	going.remove(t)
	setDeploymentStatus(t, f, gatewayDeployment, 2, 2)
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonSettled)
}

// A size that is raised again lets the gateway serve again, and deletes none.
func TestScaleInIsUndone(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f, gateways := startScaleIn(t, o, "drain: {timeout: 60s}")
	going := gateways[1]
	going.awaitDrain()
	f.setSpec("{replicas: 3, drain: {timeout: 60s}}")
	f.eventually(func(t *assert.CollectT) {
		_, undrains := going.drainRequests()
		assert.Positive(t, undrains)
		assert.Empty(t, going.annotation(t, render.AnnotationScaleIn))
	})
	f.eventuallyEvent(corev1.EventTypeNormal, v1alpha1.ReasonScaleInUndone, going.pod.Name)
	require.EqualValues(t, 3, f.size(t))
	f.eventuallyCondition(v1alpha1.ConditionDraining, metav1.ConditionFalse, v1alpha1.ReasonNoneDraining)
}

// An operator that starts in the middle goes on where the other one stopped.
func TestScaleInSurvivesTheOperator(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f, gateways := startScaleIn(t, o, "drain: {timeout: 60s}")
	going := gateways[1]
	going.awaitDrain()
	until := going.annotation(t, render.AnnotationScaleIn)
	o.stop()
	// Now it is not the one with the fewest clients any more.
	gateways[2].report(func(r *report) { r.Connections = 1 })
	o.start()
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonScalingIn)
	going.report(func(r *report) { r.State, r.Connections = contract.StateDrained, 0 })
	f.eventually(func(t *assert.CollectT) { assert.EqualValues(t, 2, f.size(t)) })
	require.Equal(t, until, going.annotation(t, render.AnnotationScaleIn), "its deadline stays")
	drains, _ := gateways[2].drainRequests()
	require.Empty(t, drains)
}

// While gateways of a new version replace the old ones, the fleet keeps its size and says why.
func TestScaleInWaitsForARollout(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "replicas: 3")
	gateways := startFakeGateways(t, f, 4)
	setDeploymentStatus(t, f, gatewayDeployment, 4, 1)
	f.setSpec("replicas: 2")
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonScaleInWaits,
		"spec.replicas is 2", "new version")
	require.EqualValues(t, 3, f.size(t))
	for _, g := range gateways {
		drains, _ := g.drainRequests()
		require.Empty(t, drains)
	}
	gateways[3].remove(t)
	f.eventually(func(c *assert.CollectT) {
		// The one that goes may have held the rollout for a moment.
		setDeploymentStatus(t, f, gatewayDeployment, 3, 3)
		f.requireCondition(c, v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonScalingIn)
	})
}

// On request Kubernetes chooses, and a gateway drains when its pod is deleted.
func TestScaleInOnTermination(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f, gateways := startScaleIn(t, o, "drain: {scaleIn: OnTermination}")
	f.eventually(func(t *assert.CollectT) { assert.EqualValues(t, 2, f.size(t)) })
	for _, g := range gateways {
		drains, _ := g.drainRequests()
		require.Empty(t, drains)
		require.Empty(t, g.annotation(t, corev1.PodDeletionCost))
	}
}

// No further gateway is replaced while one drains: the operator pauses the Deployment, and lets it go on after that.
// Each gateway that drains closes its connections at its part of the fleet's budget.
func TestRolloutIsHeldWhileAGatewayDrains(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{replicas: 3, rollout: {maxReconnectsPerSecond: 20}}")
	gateways := startFakeGateways(t, f, 4)
	for _, g := range gateways {
		g.report(func(r *report) { r.Connections = 10 })
	}
	setDeploymentStatus(t, f, gatewayDeployment, 4, 2)
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonRollingOut)
	require.False(t, f.getDeployment(t, gatewayDeployment).Spec.Paused)

	going := gateways[0]
	going.report(func(r *report) {
		r.State, r.Drain = contract.StateDraining, &contract.DrainReport{Reason: "preStop", ClosesPerSecond: 1}
	})
	require.NoError(t, env.client.Delete(t.Context(), going.pod))
	f.eventually(func(t *assert.CollectT) {
		deployment := f.getDeployment(t, gatewayDeployment)
		assert.True(t, deployment.Spec.Paused)
		assert.Contains(t, deployment.Annotations, render.AnnotationRolloutHeld)
		assert.InDelta(t, 20, going.pace(), 0)
	})
	// Kubernetes would delete the last one of the old version as soon as all new ones are available.
	setDeploymentStatus(t, f, gatewayDeployment, 4, 3)
	f.eventually(func(t *assert.CollectT) {
		assert.EqualValues(t, 365*24*60*60, f.getDeployment(t, gatewayDeployment).Spec.MinReadySeconds)
	})
	setDeploymentStatus(t, f, gatewayDeployment, 4, 3)
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonRollingOut, "3 of 3",
		"the next one waits: gateways that drain already: 1")

	going.remove(t)
	f.eventually(func(t *assert.CollectT) {
		deployment := f.getDeployment(t, gatewayDeployment)
		assert.False(t, deployment.Spec.Paused)
		assert.NotContains(t, deployment.Annotations, render.AnnotationRolloutHeld)
		assert.EqualValues(t, 20, deployment.Spec.MinReadySeconds)
	})
}

// A PodDisruptionBudget does not count gateways that still drain, so the operator closes it meanwhile.
func TestEvictionsWaitWhileAGatewayDrains(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{replicas: 2, disruption: {maxUnavailable: 50%}}")
	gateways := startFakeGateways(t, f, 3)
	setDeploymentStatus(t, f, gatewayDeployment, 2, 2)
	budget := func(t require.TestingT) string {
		var pdb policyv1.PodDisruptionBudget
		key := client.ObjectKey{Namespace: f.namespace, Name: gatewayDeployment.name(f.name)}
		require.NoError(t, env.client.Get(f.t.Context(), key, &pdb))
		return pdb.Spec.MaxUnavailable.String()
	}
	f.eventually(func(t *assert.CollectT) { assert.Equal(t, "50%", budget(t)) })

	going := gateways[0]
	going.report(func(r *report) {
		r.State, r.Connections, r.Drain = contract.StateDraining, 10, &contract.DrainReport{Reason: "preStop"}
	})
	require.NoError(t, env.client.Delete(t.Context(), going.pod))
	f.eventually(func(t *assert.CollectT) { assert.Equal(t, "0", budget(t)) })
	f.eventuallyCondition(v1alpha1.ConditionDraining, metav1.ConditionTrue, v1alpha1.ReasonHandingOver,
		"evictions of others wait")

	going.remove(t)
	f.eventually(func(t *assert.CollectT) { assert.Equal(t, "50%", budget(t)) })
	f.eventuallyCondition(v1alpha1.ConditionDraining, metav1.ConditionFalse, v1alpha1.ReasonNoneDraining)

	// A gateway that drains by hand is heard of by its report alone, and its end too.
	gateways[1].report(func(r *report) {
		r.State, r.Connections, r.Drain = contract.StateDraining, 10, &contract.DrainReport{Reason: "by hand"}
	})
	f.eventually(func(t *assert.CollectT) { assert.Equal(t, "0", budget(t)) })
	gateways[1].report(func(r *report) { r.State, r.Connections = contract.StateDrained, 0 })
	f.eventually(func(t *assert.CollectT) { assert.Equal(t, "50%", budget(t)) })
}
