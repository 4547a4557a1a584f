package integration

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// The objects of optional kinds. They are not among allChildren, because their kinds are not installed in most tests.
var (
	gatewayRoute = child{schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"},
		"gateway"}
	gatewayBackend = child{
		schema.GroupVersionKind{Group: "gateway.networking.x-k8s.io", Version: "v1alpha1", Kind: "XBackend"}, "gateway"}
	routeService = child{schema.GroupVersionKind{Version: "v1", Kind: "Service"}, "route"}
)

const (
	withRoute   = "gatewayAPI: {parentRefs: [{name: public}], hostnames: [ws.example.com], cookie: {maxAge: 48h}}"
	withBackend = "gatewayAPI: {parentRefs: [{name: public}], sessionPersistence: Backend}"
	inRoute     = ".spec.rules[0]"
)

// The objects have the shape of the installed definitions, and what the API server adds to them is no change of another
// client. The tests of this file do not run in parallel: definitions are there for all fleets or for none.
func TestReconcilerShapesRoutesByTheInstalledVersion(t *testing.T) {
	for _, c := range []struct {
		version, spec string
		child         child
		where, want   string
		changed       string
	}{
		{"v1.4.1/standard", withRoute, gatewayRoute, inRoute + ".timeouts.request", "0s", `{"hostnames": ["other.test"]}`},
		{"v1.4.1/experimental", withRoute, gatewayRoute, inRoute + ".sessionPersistence.absoluteTimeout", "48h0m0s",
			`{"hostnames": ["other.test"]}`},
		{"v1.6.3/experimental", withRoute, gatewayRoute, inRoute + ".sessionPersistence.cookieConfig.lifetimeType",
			"Permanent", `{"parentRefs": [{"name": "other"}]}`},
		{"v1.7.0/experimental", withRoute, gatewayRoute, inRoute + ".sessionPersistence.cookie.lifetimeType", "Permanent",
			`{"rules": [{"name": "other"}]}`},
		{"v1.7.0/experimental", withBackend, gatewayBackend, ".spec.sessionPersistence.cookie.lifetimeType", "Session",
			`{"port": {"number": 1}}`},
	} {
		t.Run(c.version, func(t *testing.T) {
			installGatewayAPI(t, c.version)
			o := startOperator(t)
			f := createFleet(t, o.namespace, "fleet", c.spec)
			f.eventuallyHas(gatewayRoute, c.child)
			require.Equal(t, c.want, read(t, c.child.get(t, f), c.where))
			o.awaitQuiet()

			f.patch(t, c.child, `{"metadata": {"annotations": {"example.com/touched": "yes"}}}`)
			before := c.child.get(t, f)
			o.awaitQuiet()
			requireUntouched(t, f, c.child, before)

			f.patch(t, c.child, `{"spec": `+c.changed+`}`)
			f.eventually(func(t *assert.CollectT) {
				assert.Equal(t, before.Object["spec"], c.child.get(t, f).Object["spec"])
			})
		})
	}
}

// A patch of an HTTPRoute is merged, and one that the API server refuses is named.
func TestReconcilerPatchesRoutes(t *testing.T) {
	installGatewayAPI(t, "v1.7.0/experimental")
	o := startOperator(t)
	patched := func(patch string) string { return "{" + withRoute + ", patch: {httpRoute: " + patch + "}}" }
	f := createFleet(t, o.namespace, "fleet", patched("{spec: {hostnames: [patched.example.com]}}"))
	f.eventuallyHas(gatewayRoute)
	require.Equal(t, `["patched.example.com"]`, read(t, gatewayRoute.get(t, f), ".spec.hostnames"))
	o.awaitQuiet()
	before := gatewayRoute.get(t, f)

	f.setSpec(patched("{spec: {parentRefs: public}}"))
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonApplyRefused,
		"HTTPRoute", "parentRefs", "spec.patch.httpRoute")
	requireUntouched(t, f, gatewayRoute, before)

	f.setSpec(withRoute)
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, `["ws.example.com"]`, read(t, gatewayRoute.get(t, f), ".spec.hostnames"))
	})
}

// Gateway API 1.7 has session persistence under other names in the same version v1, so an HTTPRoute of 1.6 loses its
// cookie by the upgrade. The operator writes it again.
func TestReconcilerReshapesRoutesAfterAnUpgrade(t *testing.T) {
	installGatewayAPI(t, "v1.6.3/experimental")
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "gatewayAPI: {parentRefs: [{name: public}], cookie: {name: pod}}")
	f.eventuallyHas(gatewayRoute)
	require.Equal(t, "pod", read(t, gatewayRoute.get(t, f), inRoute+".sessionPersistence.sessionName"))

	installGatewayAPI(t, "v1.7.0/experimental")
	f.eventually(func(t *assert.CollectT) {
		route := gatewayRoute.get(t, f)
		assert.Equal(t, "pod", read(t, route, inRoute+".sessionPersistence.cookie.name"))
		assert.Empty(t, read(t, route, inRoute+".sessionPersistence.sessionName"))
	})
}

// patch changes an object as another client.
func (f *fleet) patch(t *testing.T, c child, patch string) {
	t.Helper()
	require.NoError(t, env.client.Patch(t.Context(), c.empty(f.namespace, f.name),
		client.RawPatch(types.MergePatchType, []byte(patch)), otherManager))
}

// Definitions come and go while the operator runs. The fleet runs on, and the status says what it lacks.
func TestReconcilerFollowsOptionalKinds(t *testing.T) {
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", withRoute)
	f.eventuallyHas(gatewayDeployment, gatewayService)
	f.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonGatewayAPINotInstalled,
		"install the Gateway API", "spec.gatewayAPI")
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonGatewayAPINotInstalled, "spec.gatewayAPI")
	o.awaitQuiet()
	deployment := gatewayDeployment.get(t, f)

	for _, version := range []string{"v1.6.3/experimental", "v1.7.0/experimental"} {
		remove := installGatewayAPI(t, version)
		f.eventuallyHas(gatewayRoute)
		f.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonRoutePending,
			"no controller has answered for the Gateway "+f.namespace+"/public")
		acceptRoute(t, f)
		f.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonRouteAccepted)
		require.Equal(t, "wss://ws.example.com/ws", f.get(t).Status.URLs[0])

		remove()
		f.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonGatewayAPINotInstalled)
		o.awaitQuiet()
	}
	requireUntouched(t, f, gatewayDeployment, deployment)
	require.Empty(t, o.logged("Failed to watch"), "the watches of removed kinds go on")
	require.Empty(t, o.logged("Reconciler error"))
}

// XBackends are a kind of their own, which can go while the fleet's route leads through one. The route leads through
// the Service then, and through the XBackend again when the kind is back. The gateways stay as they are.
func TestReconcilerFollowsXBackends(t *testing.T) {
	const version = "v1.7.0/experimental"
	backends := []*apiextensionsv1.CustomResourceDefinition{gatewayDefinition(t, version, "xbackends")}
	install(t, []*apiextensionsv1.CustomResourceDefinition{
		gatewayDefinition(t, version, "gateways"), gatewayDefinition(t, version, "httproutes"),
	})
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", withBackend)
	leadsTo := func(kind string) {
		t.Helper()
		f.eventually(func(t *assert.CollectT) {
			assert.Equal(t, kind, read(t, gatewayRoute.get(t, f), inRoute+".backendRefs[0].kind"))
		})
	}
	leadsTo("Service")
	acceptRoute(t, f)
	f.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonNoSessionPersistence,
		"Backend: 1.7 or later", "spec.gatewayAPI.sessionPersistence")
	deployment := gatewayDeployment.get(t, f)

	for range 2 {
		remove := install(t, backends)
		leadsTo("XBackend")
		f.eventuallyHas(gatewayBackend)
		acceptRoute(t, f)
		f.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonRouteAccepted)

		remove()
		leadsTo("Service")
		acceptRoute(t, f)
		f.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonNoSessionPersistence)
	}
	requireUntouched(t, f, gatewayDeployment, deployment)
	require.Empty(t, o.logged("Failed to watch"), "the watches of removed kinds go on")
	require.Empty(t, o.logged("Reconciler error"))
}

// acceptRoute does a controller's part: there is a Gateway, and it accepts the route as it is now.
func acceptRoute(t *testing.T, f *fleet) {
	t.Helper()
	gateway := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
spec:
  gatewayClassName: any
  listeners:
  - {name: ws, port: 80, protocol: HTTP}
  - {name: wss, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: a}]}}
`), &gateway.Object))
	gateway.SetNamespace(f.namespace)
	gateway.SetName("public")
	require.NoError(t, client.IgnoreAlreadyExists(env.client.Create(t.Context(), gateway)))

	route := gatewayRoute.get(t, f)
	var status any
	require.NoError(t, yaml.Unmarshal(fmt.Appendf(nil, `
parents:
- controllerName: example.com/gateway
  parentRef: {group: gateway.networking.k8s.io, kind: Gateway, name: public}
  conditions:
  - {type: Accepted, status: "True", reason: Accepted, message: "", observedGeneration: %[1]d,
     lastTransitionTime: "2026-01-02T03:04:05Z"}
  - {type: ResolvedRefs, status: "True", reason: ResolvedRefs, message: "", observedGeneration: %[1]d,
     lastTransitionTime: "2026-01-02T03:04:05Z"}
`, route.GetGeneration()), &status))
	route.Object["status"] = status
	require.NoError(t, env.client.Status().Update(t.Context(), route))
}

// routeFieldChanges returns a change of every field of spec.gatewayAPI, and of the patches of its objects.
func routeFieldChanges() []fieldChange {
	const from = "gatewayAPI: {parentRefs: [{name: a}]}"
	return []fieldChange{
		{"spec.gatewayAPI.parentRefs[].name", from, "gatewayAPI: {parentRefs: [{name: b}]}", gatewayRoute,
			".spec.parentRefs[0].name", "b"},
		{"spec.gatewayAPI.parentRefs[].namespace", from, "gatewayAPI: {parentRefs: [{name: a, namespace: b}]}", gatewayRoute,
			".spec.parentRefs[0].namespace", "b"},
		{"spec.gatewayAPI.parentRefs[].sectionName", from, "gatewayAPI: {parentRefs: [{name: a, sectionName: b}]}",
			gatewayRoute, ".spec.parentRefs[0].sectionName", "b"},
		{"spec.gatewayAPI.parentRefs[].port", from, "gatewayAPI: {parentRefs: [{name: a, port: 443}]}", gatewayRoute,
			".spec.parentRefs[0].port", "443"},
		{"spec.gatewayAPI.hostnames", from, "gatewayAPI: {parentRefs: [{name: a}], hostnames: [h]}", gatewayRoute,
			".spec.hostnames[*]", "h"},
		{"spec.gatewayAPI.path", from, "gatewayAPI: {parentRefs: [{name: a}], path: /live}", gatewayRoute,
			inRoute + ".matches[0].path.value", "/live"},
		{"spec.gatewayAPI.path", from, "gatewayAPI: {parentRefs: [{name: a}], path: /live}", gatewayDeployment,
			setting + contract.KeyAffinityCookiePath, "/live"},
		{"spec.gatewayAPI.sessionPersistence", from, "gatewayAPI: {parentRefs: [{name: a}], sessionPersistence: Backend}",
			gatewayRoute, inRoute + ".backendRefs[0].kind", "XBackend"},
		{"spec.gatewayAPI.cookie.name", from, "gatewayAPI: {parentRefs: [{name: a}], cookie: {name: pod}}", gatewayRoute,
			inRoute + ".sessionPersistence.cookie.name", "pod"},
		{"spec.gatewayAPI.cookie.name", from, "gatewayAPI: {parentRefs: [{name: a}], cookie: {name: pod}}", gatewayDeployment,
			setting + contract.KeyAffinityCookie, "pod"},
		{"spec.gatewayAPI.cookie.maxAge", from, "gatewayAPI: {parentRefs: [{name: a}], cookie: {maxAge: 2h}}", gatewayRoute,
			inRoute + ".sessionPersistence.absoluteTimeout", "2h0m0s"},
		{"spec.patch.httpRoute", from, "{" + from + ", patch: {httpRoute: {metadata: {labels: {patched: 'yes'}}}}}",
			gatewayRoute, ".metadata.labels.patched", "yes"},
		{"spec.patch.routeService", from, "{" + from + ", patch: {routeService: {metadata: {labels: {patched: 'yes'}}}}}",
			routeService, ".metadata.labels.patched", "yes"},
		{"spec.patch.routeBackend", withBackend,
			"{" + withBackend + ", patch: {routeBackend: {metadata: {labels: {patched: 'yes'}}}}}", gatewayBackend,
			".metadata.labels.patched", "yes"},
	}
}

func TestReconcilerAppliesEveryFieldOfRoutes(t *testing.T) {
	installGatewayAPI(t, "v1.7.0/experimental")
	o := startOperator(t)
	for i, steps := range fieldSteps(routeFieldChanges()) {
		f := createFleet(t, o.namespace, fmt.Sprintf("f%d", i), steps[0][0].from)
		for _, step := range steps {
			t.Run(step[0].field, func(t *testing.T) { f.in(t).requireEffects(step) })
		}
	}
}
