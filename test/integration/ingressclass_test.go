package integration

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// createIngressClass creates an IngressClass that is deleted after the test. Classes have no namespace.
func createIngressClass(t *testing.T, name, controller string) {
	t.Helper()
	class := &networkingv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       networkingv1.IngressClassSpec{Controller: controller},
	}
	require.NoError(t, env.client.Create(t.Context(), class))
	// Not the test's context, which ends before the cleanups.
	t.Cleanup(func() { require.NoError(t, env.client.Delete(context.Background(), class)) })
}

// With the profile Auto, the operator goes by the controller of the IngressClass. The status says what the user must do
// when there is no profile for it, and the operator notices a class that is created later.
func TestReconcilerChoosesTheProfileByIngressClass(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	createIngressClass(t, "by-nginx", "k8s.io/ingress-nginx")
	createIngressClass(t, "by-other", "example.com/other")

	nginxed := createFleet(t, o.namespace, "nginxed", "ingress: {className: by-nginx}")
	nginxed.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonProfileApplied)
	require.Equal(t, "cookie", read(t, gatewayIngress.get(t, nginxed), nginx+"affinity"))
	require.Equal(t, "nginx", nginxed.get(t).Status.Effective.IngressProfile)

	other := createFleet(t, o.namespace, "other", "ingress: {className: by-other}")
	other.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonNoProfile,
		"example.com/other", "spec.ingress.annotations")
	require.Empty(t, read(t, gatewayIngress.get(t, other), nginx+"affinity"))

	late := createFleet(t, o.namespace, "late", "ingress: {className: by-late}")
	late.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonIngressClassNotFound,
		"spec.ingress.className")
	createIngressClass(t, "by-late", "k8s.io/ingress-nginx")
	late.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonProfileApplied)
	late.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "cookie", read(t, gatewayIngress.get(t, late), nginx+"affinity"))
	})
}

// Clients connect to the address of the load balancer.
func TestStatusShowsTheLoadBalancer(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "service: {type: LoadBalancer}")
	f.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonLoadBalancerPending,
		"spec.service.loadBalancerClass")
	service := gatewayService.get(t, f)
	service.Object["status"] = map[string]any{
		"loadBalancer": map[string]any{"ingress": []any{map[string]any{"ip": "192.0.2.7"}}},
	}
	require.NoError(t, env.client.Status().Update(t.Context(), service))
	f.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonServiceReady)
	require.Equal(t, "ws://192.0.2.7/ws", f.get(t).Status.URLs[0])
}
