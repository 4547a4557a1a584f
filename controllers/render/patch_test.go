package render

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// patchedDeployment returns the gateways' Deployment with the patch.
func patchedDeployment(t *testing.T, patch string) Object {
	t.Helper()
	var in golden
	in.Spec.Patch.Deployment = &runtime.RawExtension{Raw: []byte(patch)}
	objects, err := Objects(input(in))
	require.NoError(t, err)
	for _, object := range objects {
		if object.Ref == DeploymentRef(GatewayName("demo")) {
			return object
		}
	}
	require.Fail(t, "no Deployment")
	return Object{}
}

// A patch that cannot be applied leaves the object as it would be without it.
func TestObjectsRefusePatches(t *testing.T) {
	plain := patchedDeployment(t, "{}")
	require.Empty(t, plain.PatchProblem)
	for patch, words := range map[string]string{
		`{"metadata":{"name":"other"}}`:                           "must not change metadata.name",
		`{"metadata":{"namespace":"other"}}`:                      "must not change metadata.namespace",
		`{"metadata":{"ownerReferences":null}}`:                   "must not change metadata.ownerReferences",
		`{"metadata":{"finalizers":["a/b"]}}`:                     "must not change metadata.finalizers",
		`{"metadata":{"labels":{"wsfleet.dev/cluster":"other"}}}`: "must not change metadata.labels[wsfleet.dev/cluster]",
		`{"metadata":{"annotations":{"wsfleet.dev/x":"y"}}}`:      "must not change metadata.annotations[wsfleet.dev/x]",
		`{"spec":{"selector":{"matchLabels":{"a":"b"}}}}`:         "must not change spec.selector",
		`{"spec":{"replicas":7}}`:                                 "must not change spec.replicas",

		`{"spec":{"template":{"metadata":{"labels":{"wsfleet.dev/cluster":null}}}}}`: "must not change spec.template" +
			".metadata.labels",
		`{"spec":{"template":{"metadata":{"annotations":{"wsfleet.dev/config-hash":"x"}}}}}`: "must not change " +
			"spec.template.metadata.annotations",
		`{"kind":"StatefulSet"}`:                          "must not change kind",
		`{"kind":null}`:                                   "must not change kind",
		`{"status":{"replicas":1}}`:                       "must not change status",
		`{"spec":{"minReadySecond":1}}`:                   "spec.minReadySecond",
		`{"spec":{"minReadySeconds":"soon"}}`:             "makes no valid Deployment",
		`{"spec":{"Paused":true}}`:                        "spec.Paused",
		`{"spec":{"template":{"spec":{"containers":7}}}}`: "spec.patch.deployment",
		`{"spec":null}`:                                   "must not change spec.",
		`{"metadata":null}`:                               "must not change metadata.",
		`[]`:                                              "spec.patch.deployment",
	} {
		t.Run(patch, func(t *testing.T) {
			object := patchedDeployment(t, patch)
			assert.Contains(t, object.PatchProblem, "spec.patch.deployment")
			assert.Contains(t, object.PatchProblem, words)
			assert.Equal(t, plain.Desired, object.Desired)
		})
	}
}

// Lists with names are merged, and null removes what the operator would set.
func TestObjectsMergePatches(t *testing.T) {
	object := patchedDeployment(t, `{"spec":{"template":{"spec":{"containers":[{"name":"gateway","livenessProbe":null,`+
		`"env":[{"name":"TZ","value":"UTC"}]},{"name":"sidecar","image":"s"}]}}}}`)
	require.Empty(t, object.PatchProblem)
	assert.Equal(t, "spec.patch.deployment", object.PatchField)
	containers, _ := valueAt(object.Desired.Object, "spec", "template", "spec", "containers").([]any)
	require.Len(t, containers, 2)
	gateway := containers[0].(map[string]any)
	if gateway["name"] != "gateway" {
		gateway = containers[1].(map[string]any)
	}
	assert.NotContains(t, gateway, "livenessProbe")
	assert.Contains(t, gateway, "readinessProbe")
	assert.Len(t, gateway["env"], 3)
	assert.NotEqual(t, patchedDeployment(t, "{}").Desired.GetAnnotations()[AnnotationApplied],
		object.Desired.GetAnnotations()[AnnotationApplied], "the hash leaves the patch out")
}

// Every field of PatchSpec is the patch of one object.
func TestPatchesHaveFields(t *testing.T) {
	raw := &runtime.RawExtension{Raw: []byte(`{"metadata":{"labels":{"patched":"yes"}}}`)}
	in := golden{Profile: v1alpha1.IngressProfileNginx, Installed: allInstalled()}
	in.Spec.Autoscaling = &v1alpha1.AutoscalingSpec{MaxReplicas: 3}
	in.Spec.Ingress = &v1alpha1.IngressSpec{}
	in.Spec.Redis = &v1alpha1.RedisSpec{Managed: &v1alpha1.ManagedRedis{Storage: &v1alpha1.RedisStorage{}}}
	in.Spec.Patch = v1alpha1.PatchSpec{
		Deployment:                 raw,
		Service:                    raw,
		ServiceAccount:             raw,
		Ingress:                    raw,
		HorizontalPodAutoscaler:    raw,
		PodDisruptionBudget:        raw,
		NetworkPolicy:              raw,
		RedisNetworkPolicy:         raw,
		RedisDeployment:            raw,
		RedisService:               raw,
		RedisPersistentVolumeClaim: raw,
		HTTPRoute:                  raw,
		RouteService:               raw,
		RouteBackend:               raw,
		PodMonitor:                 raw,
		PrometheusRule:             raw,
		Dashboards:                 raw,
	}
	in.Spec.Monitoring = v1alpha1.MonitoringSpec{Rules: v1alpha1.MonitoringAuto, Dashboards: true}
	patched := map[string]bool{}
	// The HTTPRoute goes through the Service or to the XBackend.
	for _, way := range []v1alpha1.SessionPersistence{
		v1alpha1.SessionPersistenceRoute, v1alpha1.SessionPersistenceBackend,
	} {
		in.Spec.GatewayAPI = &v1alpha1.GatewayAPISpec{SessionPersistence: way}
		objects, err := Objects(input(in))
		require.NoError(t, err)
		for _, object := range objects {
			require.Empty(t, object.PatchProblem)
			if object.PatchField != "" {
				patched[object.PatchField] = true
				assert.Equal(t, "yes", object.Desired.GetLabels()["patched"], object)
			}
		}
	}
	assert.Len(t, patched, len(patches(Input{})))
	assert.Len(t, patched, reflect.TypeFor[v1alpha1.PatchSpec]().NumField())
}

// A JSON merge patch replaces lists, and what the operator depends on stays as it is.
func TestObjectsMergePatchesOfOtherProjects(t *testing.T) {
	route := func(patch string) Object {
		in := golden{Installed: allInstalled()}
		in.Spec.GatewayAPI = &v1alpha1.GatewayAPISpec{}
		in.Spec.Patch.HTTPRoute = &runtime.RawExtension{Raw: []byte(patch)}
		objects, err := Objects(input(in))
		require.NoError(t, err)
		for _, object := range objects {
			if object.Ref == HTTPRouteRef(GatewayName("demo")) {
				return object
			}
		}
		require.Fail(t, "no HTTPRoute")
		return Object{}
	}
	patched := route(`{"spec":{"hostnames":["a.example"],"rules":null}}`)
	require.Empty(t, patched.PatchProblem)
	assert.Equal(t, []any{"a.example"}, valueAt(patched.Desired.Object, "spec", "hostnames"))
	assert.Nil(t, valueAt(patched.Desired.Object, "spec", "rules"))
	for patch, words := range map[string]string{
		`{"metadata":{"name":"other"}}`: "must not change metadata.name",
		`{"kind":"TLSRoute"}`:           "must not change kind",
	} {
		object := route(patch)
		assert.Contains(t, object.PatchProblem, "spec.patch.httpRoute")
		assert.Contains(t, object.PatchProblem, words)
		assert.Equal(t, route("{}").Desired, object.Desired)
	}
}
