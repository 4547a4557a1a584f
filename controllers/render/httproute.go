package render

import (
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// RouteServiceName returns the name of the Service that the HTTPRoute goes through.
func RouteServiceName(cluster string) string { return cluster + "-route" }

// RoutePersistence returns where the cookie that keeps clients on their gateway is configured: Route, Backend, or Off
// where the spec wants none or the installed kinds cannot express it. Auto prefers the HTTPRoute: an implementation
// that does not know session persistence ignores the field there, but does not route to an XBackend that it does not
// know.
func RoutePersistence(spec v1alpha1.GatewayAPISpec, installed Installed) v1alpha1.SessionPersistence {
	inRoute := installed[kindHTTPRoute].SessionPersistence != PersistenceNone
	inBackend := installed[kindXBackend].SessionPersistence != PersistenceNone
	wanted := spec.SessionPersistence
	switch {
	case inRoute && (wanted == v1alpha1.SessionPersistenceRoute || wanted == v1alpha1.SessionPersistenceAuto):
		return v1alpha1.SessionPersistenceRoute
	case inBackend && (wanted == v1alpha1.SessionPersistenceBackend || wanted == v1alpha1.SessionPersistenceAuto):
		return v1alpha1.SessionPersistenceBackend
	default:
		return v1alpha1.SessionPersistenceOff
	}
}

// routeService returns the Service that the HTTPRoute goes through. Unlike the one in front of the gateways it has no
// ClientIP affinity, which implementations of the Gateway API refuse together with session persistence.
func routeService(in Input) (any, error) {
	route := in.Spec.GatewayAPI
	if route == nil || RoutePersistence(*route, in.Installed) == v1alpha1.SessionPersistenceBackend {
		return nil, nil
	}
	return coreac.Service(RouteServiceName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithOwnerReferences(in.owner()).
		WithSpec(coreac.ServiceSpec().
			WithType(corev1.ServiceTypeClusterIP).
			WithSelector(SelectorLabels(in.Name, ComponentGateway)).
			WithSessionAffinity(corev1.ServiceAffinityNone).
			WithPorts(gatewayPorts(in)...)), nil
}

// routeBackend returns the XBackend that the HTTPRoute goes to, which selects the gateways itself, or nil where session
// persistence is configured elsewhere.
func routeBackend(in Input) (any, error) {
	route := in.Spec.GatewayAPI
	if route == nil || RoutePersistence(*route, in.Installed) != v1alpha1.SessionPersistenceBackend {
		return nil, nil
	}
	return optionalObject(in, kindXBackend, map[string]any{
		"type":               "EndpointSelector",
		"endpointSelector":   map[string]any{"matchLabels": SelectorLabels(in.Name, ComponentGateway)},
		"port":               map[string]any{"number": contract.PublicPort},
		"protocol":           "HTTP11",
		"sessionPersistence": sessionPersistence(in, in.Installed[kindXBackend].SessionPersistence),
	}), nil
}

// httpRoute returns the HTTPRoute from the Gateways of the spec to the gateways. It returns nil where the spec has no
// gatewayAPI, or the cluster has no HTTPRoutes.
func httpRoute(in Input) (any, error) {
	route := in.Spec.GatewayAPI
	if route == nil || !in.Installed.Has(kindHTTPRoute) {
		return nil, nil
	}
	rule := map[string]any{
		"matches": []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": route.Path}}},
		// 0s is no timeout: a WebSocket is one request that lasts for as long as the connection.
		"timeouts":    map[string]any{"request": "0s"},
		"backendRefs": []any{routeTarget(in)},
	}
	if RoutePersistence(*route, in.Installed) == v1alpha1.SessionPersistenceRoute {
		rule["sessionPersistence"] = sessionPersistence(in, in.Installed[kindHTTPRoute].SessionPersistence)
	}
	spec := map[string]any{"parentRefs": parentRefs(route.ParentRefs), "rules": []any{rule}}
	if len(route.Hostnames) > 0 {
		spec["hostnames"] = route.Hostnames
	}
	return optionalObject(in, kindHTTPRoute, spec), nil
}

// routeTarget returns the object that the HTTPRoute goes to.
func routeTarget(in Input) map[string]any {
	if RoutePersistence(*in.Spec.GatewayAPI, in.Installed) == v1alpha1.SessionPersistenceBackend {
		return map[string]any{"group": kindXBackend.Group, "kind": kindXBackend.Kind, "name": GatewayName(in.Name)}
	}
	return map[string]any{"name": RouteServiceName(in.Name), "port": servicePort(in.front().IngressTLS)}
}

func parentRefs(gateways []v1alpha1.GatewayReference) []any {
	refs := make([]any, 0, len(gateways))
	for _, gateway := range gateways {
		ref := map[string]any{"name": gateway.Name}
		setText(ref, "namespace", gateway.Namespace)
		setText(ref, "sectionName", gateway.SectionName)
		if gateway.Port != nil {
			ref["port"] = *gateway.Port
		}
		refs = append(refs, ref)
	}
	return refs
}

// sessionPersistence returns the cookie that keeps each client on its gateway, in the shape that the schema has.
func sessionPersistence(in Input, shape PersistenceShape) map[string]any {
	spec := in.Spec.GatewayAPI
	persistence := map[string]any{"type": "Cookie"}
	lifetime := "Session"
	if age := spec.Cookie.MaxAge; age != nil {
		lifetime = "Permanent"
		// The Gateway API knows no fractions.
		persistence["absoluteTimeout"] = (time.Duration(math.Ceil(age.Seconds())) * time.Second).String()
	}
	if shape == PersistenceByCookie {
		persistence["cookie"] = map[string]any{"name": routeCookieName(in), "path": spec.Path, "lifetimeType": lifetime}
		return persistence
	}
	persistence["sessionName"] = routeCookieName(in)
	persistence["cookieConfig"] = map[string]any{"lifetimeType": lifetime}
	return persistence
}

// routeCookieName returns the name of the cookie of session persistence.
func routeCookieName(in Input) string {
	if name := in.Spec.GatewayAPI.Cookie.Name; name != "" {
		return name
	}
	return defaultCookieName(in)
}

// optionalObject returns an object of the fleet's gateways whose kind has no Go type here.
func optionalObject(in Input, kind schema.GroupVersionKind, spec map[string]any) map[string]any {
	return map[string]any{
		"apiVersion": kind.GroupVersion().String(),
		"kind":       kind.Kind,
		"metadata": map[string]any{
			"name":            GatewayName(in.Name),
			"namespace":       in.Namespace,
			"labels":          labels(in.Name, ComponentGateway),
			"ownerReferences": []any{in.owner()},
		},
		"spec": spec,
	}
}
