package status

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// routed is a fleet with an HTTPRoute whose status has the parents, in YAML. The cluster has the kinds, each with the
// shape of its session persistence.
func routed(parents string, kinds map[string]render.PersistenceShape, edit func(*v1alpha1.GatewayAPISpec)) change {
	return func(o *Observation) {
		route := &v1alpha1.GatewayAPISpec{ParentRefs: []v1alpha1.GatewayReference{{Name: "public", Namespace: "infra"}}}
		edit(route)
		spec(func(s *v1alpha1.WebSocketClusterSpec) { s.GatewayAPI = route })(o)
		o.Installed = render.Installed{}
		for _, kind := range render.OptionalKinds() {
			if shape, found := kinds[kind.Kind.Kind]; found {
				o.Installed[kind.Kind] = render.Features{SessionPersistence: shape}
			}
		}
		o.Route = &unstructured.Unstructured{Object: map[string]any{}}
		if err := yaml.Unmarshal([]byte("status: {parents: ["+parents+"]}"), &o.Route.Object); err != nil {
			panic(err)
		}
		o.Route.SetGeneration(3)
	}
}

// answer is the answer of a controller in the route's status: the statuses of Accepted and of ResolvedRefs.
func answer(accepted, resolved string, generation int) string {
	condition := func(kind, status string) string {
		return fmt.Sprintf("{type: %s, status: '%s', observedGeneration: %d, reason: %sBecause, message: %s words, "+
			"lastTransitionTime: '2026-01-02T03:04:05Z'}", kind, status, generation, kind, kind)
	}
	return "{controllerName: example.com/gw, parentRef: {group: gateway.networking.k8s.io, kind: Gateway, name: public, " +
		"namespace: infra}, conditions: [" + condition("Accepted",
		accepted) + ", " + condition("ResolvedRefs", resolved) + "]}"
}

func TestExposedByRoute(t *testing.T) {
	unchanged := func(*v1alpha1.GatewayAPISpec) {}
	persistence := func(wanted v1alpha1.SessionPersistence) func(*v1alpha1.GatewayAPISpec) {
		return func(route *v1alpha1.GatewayAPISpec) { route.SessionPersistence = wanted }
	}
	standard := map[string]render.PersistenceShape{"HTTPRoute": render.PersistenceNone}
	experimental := map[string]render.PersistenceShape{
		"HTTPRoute": render.PersistenceByCookie, "XBackend": render.PersistenceByCookie,
	}
	good := answer("True", "True", 3)
	checkCondition(t, v1alpha1.ConditionExposed, []conditionCase{
		{"not installed", []change{routed(good, nil, unchanged)}, isFalse, v1alpha1.ReasonGatewayAPINotInstalled,
			"install the Gateway API, version 1.4 or later, or remove spec.gatewayAPI"},
		{"no route", []change{routed(good, experimental, unchanged), func(o *Observation) { o.Route = nil }}, isFalse,
			v1alpha1.ReasonRoutePending, "does not exist yet"},
		{"no answer", []change{routed("", experimental, unchanged)}, isFalse, v1alpha1.ReasonRoutePending,
			"no controller has answered for the Gateway infra/public of spec.gatewayAPI.parentRefs[0]"},
		{"answer of another Gateway", []change{routed(good, experimental, func(route *v1alpha1.GatewayAPISpec) {
			route.ParentRefs[0].SectionName = "wss"
		})}, isFalse, v1alpha1.ReasonRoutePending, "no controller has answered"},
		{"one of two answers", []change{routed(good, experimental, func(route *v1alpha1.GatewayAPISpec) {
			route.ParentRefs = append(route.ParentRefs, v1alpha1.GatewayReference{Name: "second"})
		})}, isFalse, v1alpha1.ReasonRoutePending, "the Gateway team/second of spec.gatewayAPI.parentRefs[1]"},
		{"outdated answer", []change{routed(answer("True", "True", 2), experimental, unchanged)}, isFalse,
			v1alpha1.ReasonRoutePending, "example.com/gw has not accepted the HTTPRoute at the Gateway infra/public yet"},
		{"refused", []change{routed(answer("False", "True", 3), experimental, unchanged)}, isFalse,
			v1alpha1.ReasonRouteRefused, "(AcceptedBecause: Accepted words): change spec.gatewayAPI, or the Gateway"},
		{"references refused", []change{routed(answer("True", "False", 3), experimental, unchanged)}, isFalse,
			v1alpha1.ReasonRouteRefused, "(ResolvedRefsBecause: ResolvedRefs words)"},
		{"accepted", []change{routed(good, experimental, unchanged)}, isTrue, v1alpha1.ReasonRouteAccepted,
			"and the HTTPRoute has the cookie affinity"},
		{"backend", []change{routed(good, experimental, persistence(v1alpha1.SessionPersistenceBackend))}, isTrue,
			v1alpha1.ReasonRouteAccepted, "and an XBackend has the cookie affinity"},
		{"off", []change{routed(good, experimental, persistence(v1alpha1.SessionPersistenceOff))}, isTrue,
			v1alpha1.ReasonRouteAccepted, "spec.gatewayAPI.sessionPersistence is Off"},
		{"standard channel", []change{routed(good, standard, unchanged)}, isTrue, v1alpha1.ReasonNoSessionPersistence,
			"or configure affinity to the Service demo-route"},
		{"standard channel, and the spec insists", []change{routed(good, standard,
			persistence(v1alpha1.SessionPersistenceRoute))}, isFalse, v1alpha1.ReasonNoSessionPersistence,
			"spec.gatewayAPI.sessionPersistence is Route and the installed Gateway API has no such field"},
		{"status in another shape", []change{routed("7", experimental, unchanged)}, isFalse, v1alpha1.ReasonRoutePending,
			"no controller has answered"},
		{"with TLS to the gateways", []change{routed(good, experimental, unchanged),
			spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Gateway.TLS = &v1alpha1.GatewayTLS{SecretName: "a"} })},
			isTrue, v1alpha1.ReasonRouteAccepted, "BackendTLSPolicy"},
		{"and an Ingress without a class", []change{routed(good, experimental, unchanged),
			ingress(func(*v1alpha1.IngressSpec) {}, IngressClass{})}, isFalse, v1alpha1.ReasonIngressClassNotFound, ""},
		{"and an Ingress", []change{routed(good, experimental, unchanged),
			ingress(func(*v1alpha1.IngressSpec) {}, IngressClass{Found: true, Profile: v1alpha1.IngressProfileNginx})},
			isTrue, v1alpha1.ReasonRouteAccepted, "profile nginx"},
	})
}

// What a controller says may be longer than a condition can be.
func TestExposedByRouteClipsForeignWords(t *testing.T) {
	long := strings.Replace(answer("False", "True", 3), "Accepted words", strings.Repeat("ü", 30_000), 1)
	experimental := map[string]render.PersistenceShape{"HTTPRoute": render.PersistenceByCookie}
	got := exposed(settled(routed(long, experimental, func(*v1alpha1.GatewayAPISpec) {})))
	require.Equal(t, v1alpha1.ReasonRouteRefused, got.Reason)
	assert.Less(t, len(got.Message), 1000)
}

func TestRouteURLs(t *testing.T) {
	const inCluster = "ws://demo-gateway.team.svc/ws"
	secure := Listener{TLS: true, Port: 443, Addresses: []string{"192.0.2.1"}}
	plain := Listener{Port: 80, Addresses: []string{"192.0.2.1"}}
	for _, c := range []struct {
		name      string
		edit      func(*v1alpha1.GatewayAPISpec)
		listeners []Listener
		want      []string
	}{
		{"unreadable Gateway", func(r *v1alpha1.GatewayAPISpec) { r.Hostnames = []string{"a.example.com"} }, nil, nil},
		{"TLS first", func(r *v1alpha1.GatewayAPISpec) { r.Hostnames = []string{"a.example.com"} },
			[]Listener{plain, secure, secure}, []string{"wss://a.example.com/ws", "ws://a.example.com/ws"}},
		{"every host", func(r *v1alpha1.GatewayAPISpec) { r.Path = "/connection" }, []Listener{secure},
			[]string{"wss://192.0.2.1/connection/websocket"}},
		{"host of the listener", func(*v1alpha1.GatewayAPISpec) {},
			[]Listener{{TLS: true, Port: 8443, Hostname: "b.example.com"}}, []string{"wss://b.example.com:8443/ws"}},
		{"wildcard of the listener", func(r *v1alpha1.GatewayAPISpec) {
			r.Hostnames = []string{"a.example.com", "a.b.example.com", "other.test", "*.example.com"}
		}, []Listener{{TLS: true, Port: 443, Hostname: "*.example.com"}},
			[]string{"wss://a.b.example.com/ws", "wss://a.example.com/ws"}},
		{"wildcard alone", func(*v1alpha1.GatewayAPISpec) {}, []Listener{{TLS: true, Port: 443, Hostname: "*.example.com"}},
			nil},
		{"IPv6", func(*v1alpha1.GatewayAPISpec) {}, []Listener{{Port: 8080, Addresses: []string{"2001:db8::1"}}},
			[]string{"ws://[2001:db8::1]:8080/ws"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := settled(routed("", nil, c.edit), func(o *Observation) { o.Listeners = c.listeners })
			assert.Equal(t, append(c.want, inCluster), urls(o))
		})
	}
}
