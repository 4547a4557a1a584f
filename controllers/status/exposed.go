package status

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// exposed is true while clients can reach the fleet in the way that the spec asks for.
func exposed(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionExposed
	if o.Service == nil {
		return condition(kind, false, v1alpha1.ReasonServicePending, "the Service does not exist yet")
	}
	if o.Service.Spec.Type == corev1.ServiceTypeLoadBalancer && len(o.Service.Status.LoadBalancer.Ingress) == 0 {
		return condition(kind, false, v1alpha1.ReasonLoadBalancerPending, "the load balancer has no address yet: "+
			"if this lasts, check spec.service.loadBalancerClass and that the cluster has a load balancer")
	}
	switch {
	case o.spec().Ingress == nil && o.spec().GatewayAPI == nil:
		return condition(kind, true, v1alpha1.ReasonServiceReady,
			"clients reach the Service; spec.ingress and spec.gatewayAPI are not set")
	case o.spec().GatewayAPI == nil:
		return exposedByIngress(o)
	case o.spec().Ingress == nil:
		return exposedByRoute(o)
	default:
		return exposedByBoth(exposedByIngress(o), exposedByRoute(o))
	}
}

// exposedByBoth returns the condition of a fleet that has an Ingress and an HTTPRoute: it is true if both are.
func exposedByBoth(ingress, route metav1.Condition) metav1.Condition {
	switch {
	case ingress.Status != metav1.ConditionTrue:
		return ingress
	case route.Status != metav1.ConditionTrue:
		return route
	default:
		return condition(route.Type, true, route.Reason, ingress.Message+"; "+route.Message)
	}
}

// exposedByIngress returns the condition of a fleet whose spec has an ingress.
func exposedByIngress(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionExposed
	switch {
	case lacksClass(o):
		return condition(kind, false, v1alpha1.ReasonIngressClassNotFound,
			"spec.ingress.className is not set and the cluster has no default IngressClass: "+
				"set the field, or make a class the default")
	case !o.Class.Found && !o.Class.Unread:
		return condition(kind, false, v1alpha1.ReasonIngressClassNotFound,
			"the IngressClass of spec.ingress.className does not exist: name one that does, or install its controller")
	case o.Ingress == nil:
		return condition(kind, false, v1alpha1.ReasonIngressPending, "the Ingress does not exist yet")
	case o.spec().Ingress.Profile == v1alpha1.IngressProfileNone:
		return condition(kind, true, v1alpha1.ReasonNoProfile, "spec.ingress.profile is none: "+noProfileRemedy)
	case o.Class.Profile == v1alpha1.IngressProfileNone && o.Class.Unread:
		return condition(kind, true, v1alpha1.ReasonNoProfile,
			"a namespaced operator cannot read which controller an IngressClass has, so spec.ingress.profile Auto is none: "+
				"set it to the profile of your controller, or "+noProfileRemedy)
	case o.Class.Profile == v1alpha1.IngressProfileNone:
		return condition(kind, true, v1alpha1.ReasonNoProfile,
			fmt.Sprintf("there is no profile for the ingress controller %s: %s", o.Class.Controller,
				profileRemedy(o.Class.Controller)))
	default:
		return exposedByProfile(o)
	}
}

// lacksClass reports whether neither the spec nor the cluster chooses an IngressClass. Where the operator does not read
// IngressClasses, the Ingress shows it: the API server writes the default class into an Ingress that is created without
// one.
func lacksClass(o Observation) bool {
	switch {
	case o.spec().Ingress.ClassName != nil || o.Class.Found:
		return false
	case o.Class.Unread:
		return o.Ingress != nil && o.Ingress.Spec.IngressClassName == nil
	default:
		return true
	}
}

// exposedByProfile returns the condition of a fleet whose Ingress has the annotations of a profile.
func exposedByProfile(o Observation) metav1.Condition {
	effect := render.EffectOfProfile(render.Input{
		Name:      o.Cluster.Name,
		Namespace: o.Cluster.Namespace,
		Spec:      *o.spec(),
		Profile:   o.Class.Profile,
	})
	reason := v1alpha1.ReasonProfileApplied
	parts := []string{fmt.Sprintf("the profile %s keeps clients on their gateways by the cookie %s", o.Class.Profile,
		effect.Cookie)}
	if len(effect.Limits) > 0 {
		reason = v1alpha1.ReasonProfileLimited
		parts = append(parts, effect.Limits...)
	}
	if effect.Note != "" {
		parts = append(parts, effect.Note)
	}
	if o.Class.Unread {
		parts = append(parts, "a namespaced operator does not check that the IngressClass exists")
	}
	return condition(v1alpha1.ConditionExposed, true, reason, strings.Join(parts, "; "))
}

// profileRemedy returns what the user of a controller without a profile does.
func profileRemedy(controller string) string {
	for _, domain := range []string{"projectcontour.io/", "gateway.envoyproxy.io/"} {
		if strings.HasPrefix(controller, domain) {
			return "it has no affinity for an Ingress, so use spec.gatewayAPI instead of spec.ingress"
		}
	}
	return noProfileRemedy
}

// noProfileRemedy is what the user sets where no profile does.
const noProfileRemedy = "set cookie affinity to the pods, and read and send timeouts longer than " +
	"spec.gateway.pingInterval, by the controller's annotations in spec.ingress.annotations or spec.service.annotations"
