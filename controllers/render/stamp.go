package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// AnnotationVersion is on every gateway pod. Its value is the AnnotationTemplate of the Deployment that it was made
// from, so that a gateway of the current version is told from one of an older version.
const AnnotationVersion = v1alpha1.GroupName + "/version"

// Deployments have two more annotations, by which a change of the user is told from one of the operator's release.
const (
	// AnnotationTemplate is a hash of the pod template that the operator applied last.
	AnnotationTemplate = v1alpha1.GroupName + "/template"
	// AnnotationAsked is a hash of what the user had asked for then: of the fields of the spec that differ from their
	// defaults, without the fleet's size, and of the values of Secrets.
	AnnotationAsked = v1alpha1.GroupName + "/asked"
)

// stamp adds both annotations to a Deployment, the version to the pods of gateways, and nothing to another object.
// patch is the user's patch that has changed the object, or nil.
func (in Input) stamp(ref Ref, object *unstructured.Unstructured, patch any) error {
	var (
		asked any
		err   error
	)
	switch ref {
	case DeploymentRef(GatewayName(in.Name)):
		asked, err = in.askedOfGateways()
	case DeploymentRef(RedisName(in.Name)):
		asked, err = in.askedOfRedis()
	default:
		return nil
	}
	if err != nil {
		return err
	}
	template, _, err := unstructured.NestedFieldNoCopy(object.Object, "spec", "template")
	if err != nil {
		return err
	}
	templateHash, err := hashJSON(template)
	if err != nil {
		return err
	}
	askedHash, err := hashJSON([]any{asked, patch})
	if err != nil {
		return err
	}
	object.SetAnnotations(merged(object.GetAnnotations(), map[string]string{
		AnnotationTemplate: templateHash,
		AnnotationAsked:    askedHash,
	}))
	if ref != DeploymentRef(GatewayName(in.Name)) {
		return nil
	}
	return unstructured.SetNestedField(object.Object, templateHash, "spec", "template", "metadata", "annotations",
		AnnotationVersion)
}

// Rehash sets the annotation with the hash of what is applied, after fields of the object have changed. It returns an
// error when the object is not JSON.
func Rehash(object *unstructured.Unstructured) error {
	annotations := object.GetAnnotations()
	delete(annotations, AnnotationApplied)
	object.SetAnnotations(annotations)
	return addHash(object)
}

// askedOfGateways returns what the user asks for of the gateways besides their number. Fields that do not reach a pod
// are left out, so that a change of them does not write the Deployment. metadata is among them: an object that keeps
// the version of an earlier release gets it all the same.
func (in Input) askedOfGateways() (any, error) {
	spec := in.Spec
	spec.Replicas, spec.Patch, spec.Paused, spec.Autoscaling = nil, v1alpha1.PatchSpec{}, false, nil
	spec.Drain.ScaleIn, spec.Rollout.MaxReconnectsPerSecond, spec.Rollout.RefusalPolicy = "", nil, ""
	spec.Metadata, spec.NetworkPolicy, spec.Monitoring =
		v1alpha1.MetadataSpec{}, v1alpha1.NetworkPolicySpec{}, v1alpha1.MonitoringSpec{}
	// The gateways know the affinity cookie and its path.
	spec.Service = v1alpha1.ServiceSpec{Annotations: onlyCookie(spec.Service.Annotations)}
	if ingress := spec.Ingress; ingress != nil {
		spec.Ingress = &v1alpha1.IngressSpec{
			Profile:     ingress.Profile,
			Path:        ingress.Path,
			Cookie:      ingress.Cookie,
			Annotations: onlyCookie(ingress.Annotations),
		}
	}
	fields, err := withoutDefaults(spec)
	return []any{fields, in.CredentialsHash}, err
}

// askedOfRedis returns what the user asks for of the managed Redis.
func (in Input) askedOfRedis() (any, error) {
	spec := v1alpha1.WebSocketClusterSpec{
		Redis:            in.Spec.Redis,
		ImagePullSecrets: in.Spec.ImagePullSecrets,
	}
	fields, err := withoutDefaults(spec)
	return []any{fields, HashSecret(in.Secrets.RedisPassword), in.RedisUpgrade}, err
}

// withoutDefaults returns the fields of the spec that differ from the defaults. A field that a later release adds, and
// fills in with its default, is not among them.
func withoutDefaults(spec v1alpha1.WebSocketClusterSpec) (map[string]any, error) {
	all, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&spec)
	if err != nil {
		return nil, err
	}
	usual, err := defaults()
	if err != nil {
		return nil, err
	}
	return difference(all, usual), nil
}

// defaults returns the fields of a spec that has nothing but defaults, or an error when it cannot be converted. The
// caller must not change them.
var defaults = sync.OnceValues(func() (map[string]any, error) {
	var spec v1alpha1.WebSocketClusterSpec
	spec.SetDefaults()
	return runtime.DefaultUnstructuredConverter.ToUnstructured(&spec)
})

// difference returns the values of all that are not the same in usual. Maps are compared by their keys.
func difference(all, usual map[string]any) map[string]any {
	different := map[string]any{}
	for key, value := range all {
		inner, isMap := value.(map[string]any)
		usualInner, usualIsMap := usual[key].(map[string]any)
		switch {
		case reflect.DeepEqual(value, usual[key]):
		case isMap && usualIsMap:
			different[key] = difference(inner, usualInner)
		default:
			different[key] = value
		}
	}
	return different
}

// hashJSON returns a hash of the value as JSON. It returns an error when it has none.
func hashJSON(value any) (string, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16]), nil
}
