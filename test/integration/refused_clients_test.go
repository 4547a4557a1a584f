package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// meets has the gateway report the clients that came to it in the last minute, per second.
func (g *fakeGateway) meets(accepted, rejected float64) {
	g.report(func(r *report) { r.ConnectRate, r.RejectRate, r.CrowdRate = &accepted, &rejected, new(float64) })
}

// The operator stops a rollout when the gateways of the new version let no client in. It does so without clients too,
// and after a restart. It goes on when they let clients in, when the spec changes, and when the user says so.
func TestRolloutStopsWhenClientsAreRefused(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{replicas: 2}")
	gateways := startFakeGateways(t, f, 3)
	for _, g := range gateways {
		g.meets(0.5, 0)
	}
	setDeploymentStatus(t, f, gatewayDeployment, 2, 2)
	version := func(t require.TestingT) string {
		return f.getDeployment(t, gatewayDeployment).Spec.Template.Annotations[render.AnnotationVersion]
	}
	before := version(t)
	f.setSpec("{replicas: 2, gateway: {allowedOrigins: ['https://chat.example']}}")
	f.eventually(func(t *assert.CollectT) { assert.NotEqual(t, before, version(t)) })
	// Kubernetes has created a gateway of the new version.
	current := gateways[2]
	current.pod.Annotations[render.AnnotationVersion] = version(t)
	require.NoError(t, env.client.Update(t.Context(), current.pod))
	setDeploymentStatus(t, f, gatewayDeployment, 3, 1)
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonRollingOut)
	// The Deployment's controller observes each change.
	observe := func() { setDeploymentStatus(t, f, gatewayDeployment, 3, 1) }
	held := func(want bool) {
		t.Helper()
		f.eventually(func(t *assert.CollectT) {
			observe()
			deployment := f.getDeployment(t, gatewayDeployment)
			assert.Equal(t, want, deployment.Spec.Paused)
			_, refused := deployment.Annotations[render.AnnotationRolloutRefused]
			assert.Equal(t, want, refused)
		})
		observe()
	}
	held(false)

	current.meets(0, 2)
	held(true)
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonClientsRefused,
		"refusalPolicy")
	f.eventuallyCondition(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonClientsRefused)
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonClientsRefused, "turn most of their clients away")

	o.stop()
	current.meets(0, 0)
	o.start()
	setDeploymentStatus(t, f, gatewayDeployment, 3, 1)
	f.eventually(func(t *assert.CollectT) { assert.EqualValues(t, 3, f.get(t).Status.ReadyReplicas) })
	held(true)

	current.meets(1, 0.1)
	held(false)
	current.meets(0, 2)
	held(true)
	f.setSpec("{replicas: 2, gateway: {allowedOrigins: ['https://chat.example']}, rollout: {refusalPolicy: Continue}}")
	held(false)
	f.setSpec("{replicas: 2, gateway: {allowedOrigins: ['https://chat.example']}, rollout: {refusalPolicy: Pause}}")
	held(true)
	refused := version(t)
	f.setSpec("{replicas: 2}")
	f.eventually(func(t *assert.CollectT) {
		deployment := f.getDeployment(t, gatewayDeployment)
		assert.NotEqual(t, refused, version(t))
		assert.False(t, deployment.Spec.Paused)
	})
}
