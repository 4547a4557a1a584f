package render

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	kjson "sigs.k8s.io/json"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// patch is the user's patch of one object.
type patch struct {
	// field is the field of the spec that has the patch, for messages.
	field string
	// content is nil where the spec has none.
	content *runtime.RawExtension
	// typed is a pointer to the Go type of the object. Its tags say how lists are merged. It is nil for kinds of other
	// projects, whose patches are JSON merge patches.
	typed any
}

// patches returns the patch of each object that may be patched.
func patches(in Input) map[Ref]patch {
	gateway, redis := GatewayName(in.Name), RedisName(in.Name)
	spec := in.Spec.Patch
	return map[Ref]patch{
		{kindDeployment, gateway}: {"spec.patch.deployment", spec.Deployment, &appsv1.Deployment{}},
		{kindService, gateway}:    {"spec.patch.service", spec.Service, &corev1.Service{}},
		{kindServiceAccount, gateway}: {
			"spec.patch.serviceAccount", spec.ServiceAccount, &corev1.ServiceAccount{}},
		{kindIngress, gateway}: {"spec.patch.ingress", spec.Ingress, &networkingv1.Ingress{}},
		{kindHPA, gateway}: {
			"spec.patch.horizontalPodAutoscaler", spec.HorizontalPodAutoscaler, &autoscalingv2.HorizontalPodAutoscaler{}},
		{kindPDB, gateway}: {
			"spec.patch.podDisruptionBudget", spec.PodDisruptionBudget, &policyv1.PodDisruptionBudget{}},
		{kindNetworkPolicy, gateway}: {"spec.patch.networkPolicy", spec.NetworkPolicy, &networkingv1.NetworkPolicy{}},
		{kindNetworkPolicy, redis}: {
			"spec.patch.redisNetworkPolicy", spec.RedisNetworkPolicy, &networkingv1.NetworkPolicy{}},
		{kindDeployment, redis}: {"spec.patch.redisDeployment", spec.RedisDeployment, &appsv1.Deployment{}},
		{kindService, redis}:    {"spec.patch.redisService", spec.RedisService, &corev1.Service{}},
		{kindPVC, redis}: {
			"spec.patch.redisPersistentVolumeClaim", spec.RedisPersistentVolumeClaim, &corev1.PersistentVolumeClaim{}},
		{kindHTTPRoute, gateway}:                 {"spec.patch.httpRoute", spec.HTTPRoute, nil},
		{kindService, RouteServiceName(in.Name)}: {"spec.patch.routeService", spec.RouteService, &corev1.Service{}},
		{kindXBackend, gateway}:                  {"spec.patch.routeBackend", spec.RouteBackend, nil},
		{kindPodMonitor, gateway}:                {"spec.patch.podMonitor", spec.PodMonitor, nil},
		{kindPrometheusRule, gateway}:            {"spec.patch.prometheusRule", spec.PrometheusRule, nil},
		{kindConfigMap, DashboardName(in.Name)}:  {"spec.patch.dashboards", spec.Dashboards, &corev1.ConfigMap{}},
	}
}

// apply returns object with the patch merged into it. It returns an error for the user, which names the field and the
// remedy, when the patch does not fit the object or changes what the operator depends on.
func (p patch) apply(object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	original, err := json.Marshal(object.Object)
	if err != nil {
		return nil, err
	}
	merged, err := p.merge(original)
	if err != nil {
		return nil, fmt.Errorf("%s is no patch of a %s: %w", p.field, object.GetKind(), err)
	}
	if err := p.decode(merged); err != nil {
		return nil, fmt.Errorf("%s makes no valid %s: %w: correct or remove it", p.field, object.GetKind(), err)
	}
	patched := &unstructured.Unstructured{}
	if err := patched.UnmarshalJSON(merged); err != nil {
		return nil, fmt.Errorf("%s must not change kind: remove it from the patch", p.field)
	}
	if changed := changedProtected(object.Object, patched.Object); changed != "" {
		return nil, fmt.Errorf("%s must not change %s, which the operator depends on: remove it from the patch", p.field,
			changed)
	}
	return patched, nil
}

// merge returns the encoded object with the patch. It returns the error of the kind of patch.
func (p patch) merge(original []byte) ([]byte, error) {
	if p.typed == nil {
		return jsonpatch.MergePatch(original, p.content.Raw) //nolint:wrapcheck // the caller wraps it
	}
	//nolint:wrapcheck // the caller wraps it
	return strategicpatch.StrategicMergePatch(original, p.content.Raw, p.typed)
}

// decode returns an error if raw has a field that the object's type does not have, or a value of another type. The API
// server checks kinds of other projects.
func (p patch) decode(raw []byte) error {
	if p.typed == nil {
		return nil
	}
	into := reflect.New(reflect.TypeOf(p.typed).Elem()).Interface()
	unknown, err := kjson.UnmarshalStrict(raw, into)
	if err == nil && len(unknown) > 0 {
		err = unknown[0]
	}
	return err //nolint:wrapcheck // the caller wraps it
}

// changedProtected returns the path of a field that differs between the two objects and must not, or "".
func changedProtected(before, after map[string]any) string {
	for _, path := range [][]string{
		{"apiVersion"},
		{"kind"},
		{"status"},
		{"spec", "replicas"},
		{"spec", "selector"},
		{"spec", "podSelector"},
		{"spec", "scaleTargetRef"},
	} {
		if !reflect.DeepEqual(valueAt(before, path...), valueAt(after, path...)) {
			return strings.Join(path, ".")
		}
	}
	for _, path := range [][]string{{"metadata"}, {"spec", "template", "metadata"}} {
		if changed := changedMetadata(mapAt(before, path...), mapAt(after, path...)); changed != "" {
			return strings.Join(append(slices.Clone(path), changed), ".")
		}
	}
	return ""
}

// changedMetadata returns the field of an object's metadata that differs, or "". Labels and annotations may differ,
// except the operator's own.
func changedMetadata(before, after map[string]any) string {
	for _, key := range sortedKeys(before, after) {
		switch key {
		case "labels", "annotations":
			was, is := mapAt(before, key), mapAt(after, key)
			for _, name := range sortedKeys(was, is) {
				if isOwnKey(name) && was[name] != is[name] {
					return key + "[" + name + "]"
				}
			}
		default:
			if !reflect.DeepEqual(before[key], after[key]) {
				return key
			}
		}
	}
	return ""
}

// isOwnKey reports whether a label or annotation is reserved for the operator.
func isOwnKey(name string) bool {
	return strings.HasPrefix(name, v1alpha1.GroupName+"/") ||
		slices.Contains([]string{labelName, labelInstance, labelComponent, labelManagedBy, labelPartOf}, name)
}

func sortedKeys(a, b map[string]any) []string {
	all := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(all)
	return slices.Compact(all)
}

// valueAt returns the value at a path, or nil where there is none.
func valueAt(object map[string]any, path ...string) any {
	// A parent of another type than an object has no value below it.
	value, _, _ := unstructured.NestedFieldNoCopy(object, path...)
	return value
}

func mapAt(object map[string]any, path ...string) map[string]any {
	fields, _ := valueAt(object, path...).(map[string]any)
	return fields
}
