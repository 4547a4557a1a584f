package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// maxForeignWords is the maximum length in bytes of what a condition quotes of another program.
const maxForeignWords = 512

// routeParent is what one controller says of the HTTPRoute at one Gateway.
type routeParent struct {
	ParentRef      v1alpha1.GatewayReference `json:"parentRef"`
	ControllerName string                    `json:"controllerName"`
	Conditions     []metav1.Condition        `json:"conditions"`
}

// exposedByRoute returns the condition of a fleet whose spec has a gatewayAPI.
func exposedByRoute(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionExposed
	switch {
	case !o.Installed.Has(render.HTTPRouteRef("").Kind):
		return condition(kind, false, v1alpha1.ReasonGatewayAPINotInstalled,
			"the cluster has no HTTPRoutes of gateway.networking.k8s.io/v1, which spec.gatewayAPI needs: "+
				"install the Gateway API, version 1.4 or later, or remove spec.gatewayAPI")
	case o.Route == nil:
		return condition(kind, false, v1alpha1.ReasonRoutePending, "the HTTPRoute does not exist yet")
	}
	parents := routeParents(o)
	for i, gateway := range o.spec().GatewayAPI.ParentRefs {
		answers := slices.DeleteFunc(slices.Clone(parents), func(parent routeParent) bool {
			return !sameGateway(parent.ParentRef, gateway, o.Cluster.Namespace)
		})
		if refusal := atGateway(o, i, answers); refusal != nil {
			return *refusal
		}
	}
	return persistence(o)
}

// atGateway returns the condition while the route is not accepted at the Gateway of a parentRef, and nil once it is.
func atGateway(o Observation, index int, answers []routeParent) *metav1.Condition {
	const kind = v1alpha1.ConditionExposed
	name := gatewayName(o.spec().GatewayAPI.ParentRefs[index], o.Cluster.Namespace)
	if len(answers) == 0 {
		waiting := condition(kind, false, v1alpha1.ReasonRoutePending, fmt.Sprintf("no controller has answered for the "+
			"Gateway %s of spec.gatewayAPI.parentRefs[%d]: check that it exists, and that the controller of its class runs",
			name, index))
		return &waiting
	}
	for _, answer := range answers {
		for _, word := range []string{"Accepted", "ResolvedRefs"} {
			said := currentCondition(answer.Conditions, word, o.Route.GetGeneration())
			switch {
			case said == nil && word == "Accepted", said != nil && said.Status == metav1.ConditionUnknown:
				waiting := condition(kind, false, v1alpha1.ReasonRoutePending,
					fmt.Sprintf("the controller %s has not accepted the HTTPRoute at the Gateway %s yet", answer.ControllerName, name))
				return &waiting
			case said != nil && said.Status == metav1.ConditionFalse:
				refused := condition(kind, false, v1alpha1.ReasonRouteRefused,
					fmt.Sprintf("the controller %s refuses the HTTPRoute at the Gateway %s (%s: %s): change spec.gatewayAPI, "+
						"or the Gateway", answer.ControllerName, name, said.Reason, clip(said.Message)))
				return &refused
			}
		}
	}
	return nil
}

// persistence returns the condition of a route that all Gateways accept.
func persistence(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionExposed
	spec := *o.spec().GatewayAPI
	where := render.RoutePersistence(spec, o.Installed)
	message := "the Gateways accept the HTTPRoute"
	switch {
	case where == v1alpha1.SessionPersistenceOff && spec.SessionPersistence == v1alpha1.SessionPersistenceOff:
		return routeCondition(o, v1alpha1.ReasonRouteAccepted, message+"; spec.gatewayAPI.sessionPersistence is Off")
	case where == v1alpha1.SessionPersistenceOff && spec.SessionPersistence == v1alpha1.SessionPersistenceAuto:
		return routeCondition(o, v1alpha1.ReasonNoSessionPersistence, message+"; a client may reach another gateway each "+
			"time it connects, because the installed Gateway API has no session persistence: install its experimental "+
			"channel, or configure affinity to the Service "+render.RouteServiceName(o.Cluster.Name)+
			" by what the implementation offers")
	case where == v1alpha1.SessionPersistenceOff:
		return condition(kind, false, v1alpha1.ReasonNoSessionPersistence, fmt.Sprintf("%s, but "+
			"spec.gatewayAPI.sessionPersistence is %s and the installed Gateway API has no such field: install its "+
			"experimental channel (Route: 1.1 or later, Backend: 1.7 or later), or set the field to Auto or Off",
			message, spec.SessionPersistence))
	default:
		place := "the HTTPRoute"
		if where == v1alpha1.SessionPersistenceBackend {
			place = "an XBackend"
		}
		return routeCondition(o, v1alpha1.ReasonRouteAccepted, message+", and "+place+" has the cookie affinity")
	}
}

// routeCondition returns a true condition, with what else the user has to set.
func routeCondition(o Observation, reason, message string) metav1.Condition {
	if o.spec().Gateway.TLS != nil {
		message += "; gateways serve TLS (spec.gateway.tls): give their Service or XBackend a BackendTLSPolicy or TLS " +
			"settings by which the Gateway verifies their certificate"
	}
	return condition(v1alpha1.ConditionExposed, true, reason, message)
}

// routeParents returns what controllers say of the route. A status that does not decode says nothing.
func routeParents(o Observation) []routeParent {
	var route struct {
		Status struct {
			Parents []routeParent `json:"parents"`
		} `json:"status"`
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Route.Object, &route); err != nil {
		return nil
	}
	return route.Status.Parents
}

// sameGateway reports whether the parentRef of a status is that of the spec.
func sameGateway(said, wanted v1alpha1.GatewayReference, namespace string) bool {
	samePort := said.Port == nil && wanted.Port == nil ||
		said.Port != nil && wanted.Port != nil && *said.Port == *wanted.Port
	return samePort && said.Name == wanted.Name && said.SectionName == wanted.SectionName &&
		cmp.Or(said.Namespace, namespace) == cmp.Or(wanted.Namespace, namespace)
}

func gatewayName(gateway v1alpha1.GatewayReference, namespace string) string {
	return cmp.Or(gateway.Namespace, namespace) + "/" + gateway.Name
}

// currentCondition returns the condition of a type, or nil when there is none of this or a later generation.
func currentCondition(conditions []metav1.Condition, kind string, generation int64) *metav1.Condition {
	for i := range conditions {
		if conditions[i].Type == kind && conditions[i].ObservedGeneration >= generation {
			return &conditions[i]
		}
	}
	return nil
}

// clip cuts what another program says to maxForeignWords bytes.
func clip(words string) string {
	if len(words) <= maxForeignWords {
		return words
	}
	return strings.ToValidUTF8(words[:maxForeignWords], "") + " ..."
}
