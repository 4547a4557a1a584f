package status

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// exposed is true when clients can reach the fleet in the way the spec asks for.
func exposed(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionExposed
	if o.Service == nil {
		return condition(kind, false, v1alpha1.ReasonServicePending, "there is no Service yet")
	}
	if o.Service.Spec.Type == corev1.ServiceTypeLoadBalancer && len(o.Service.Status.LoadBalancer.Ingress) == 0 {
		return condition(kind, false, v1alpha1.ReasonLoadBalancerPending,
			"the load balancer has no address yet: if it stays so, check spec.service.loadBalancerClass and that the cluster has a load balancer")
	}
	if o.spec().Ingress == nil {
		return condition(kind, true, v1alpha1.ReasonServiceReady, "clients reach the Service; spec.ingress is not set")
	}
	return exposedByIngress(o)
}

func exposedByIngress(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionExposed
	switch {
	case !o.Class.Found && o.spec().Ingress.ClassName == nil:
		return condition(kind, false, v1alpha1.ReasonIngressClassNotFound,
			"spec.ingress.className is not set and the cluster has no default IngressClass: set the field, or make a class the default")
	case !o.Class.Found:
		return condition(kind, false, v1alpha1.ReasonIngressClassNotFound,
			"the IngressClass of spec.ingress.className does not exist: name one that does, or install its controller")
	case o.Ingress == nil:
		return condition(kind, false, v1alpha1.ReasonIngressPending, "there is no Ingress yet")
	case o.spec().Ingress.Profile == v1alpha1.IngressProfileNone:
		return condition(kind, true, v1alpha1.ReasonNoProfile, "spec.ingress.profile is none: "+byHand)
	case o.Class.Profile == v1alpha1.IngressProfileNone:
		return condition(kind, true, v1alpha1.ReasonNoProfile,
			fmt.Sprintf("there is no profile for the ingress controller %s: %s", o.Class.Controller, byHand))
	default:
		return condition(kind, true, v1alpha1.ReasonProfileApplied,
			fmt.Sprintf("the Ingress has the cookie affinity and the timeouts of the profile %s", o.Class.Profile))
	}
}

// byHand is what an Ingress needs besides, where no profile adds it.
const byHand = "set cookie affinity to the pods, and read and send timeouts longer than spec.gateway.pingInterval, " +
	"by the controller's annotations in spec.ingress.annotations or spec.service.annotations"
