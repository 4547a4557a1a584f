package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// Ref names an object in the WebSocketCluster's namespace.
type Ref struct {
	Kind schema.GroupVersionKind
	Name string
}

// String returns the kind and the name, as messages name the object.
func (r Ref) String() string { return r.Kind.Kind + " " + r.Name }

// DeploymentRef returns the reference of a Deployment.
func DeploymentRef(name string) Ref { return Ref{kindDeployment, name} }

// ServiceRef returns the reference of a Service.
func ServiceRef(name string) Ref { return Ref{kindService, name} }

// ServiceAccountRef returns the reference of a ServiceAccount.
func ServiceAccountRef(name string) Ref { return Ref{kindServiceAccount, name} }

// IngressRef returns the reference of an Ingress.
func IngressRef(name string) Ref { return Ref{kindIngress, name} }

// HTTPRouteRef returns the reference of an HTTPRoute.
func HTTPRouteRef(name string) Ref { return Ref{kindHTTPRoute, name} }

// PodMonitorRef returns the reference of a PodMonitor.
func PodMonitorRef(name string) Ref { return Ref{kindPodMonitor, name} }

// PrometheusRuleRef returns the reference of a PrometheusRule.
func PrometheusRuleRef(name string) Ref { return Ref{kindPrometheusRule, name} }

// SecretRef returns the reference of a Secret.
func SecretRef(name string) Ref { return Ref{kindSecret, name} }

// AutoscalerRef returns the reference of a HorizontalPodAutoscaler.
func AutoscalerRef(name string) Ref { return Ref{kindHPA, name} }

// Object is one object of a fleet.
type Object struct {
	Ref
	// Desired has the fields that the operator sets. It is nil if the fleet must not have the object.
	Desired *unstructured.Unstructured
	// PatchField is the field of the spec with the patch that Desired includes. It is empty where there is none.
	PatchField string
	// PatchProblem says to the user why the patch cannot be applied. Desired is without the patch then, and must not be
	// written. It is empty where there is no such problem.
	PatchProblem string
	// Version is the resourceVersion that the object must still have to be written, because Desired has values that were
	// read from it. It is empty where any version will do.
	Version string
	// Needs are the objects that must exist and belong to the operator before this one is written: a gateway must not
	// start with a configuration that is not the operator's.
	Needs []Ref
}

// The kinds of the objects.
var (
	kindServiceAccount = schema.GroupVersionKind{Version: "v1", Kind: "ServiceAccount"}
	kindSecret         = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
	kindConfigMap      = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	kindPVC            = schema.GroupVersionKind{Version: "v1", Kind: "PersistentVolumeClaim"}
	kindService        = schema.GroupVersionKind{Version: "v1", Kind: "Service"}
	kindDeployment     = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	kindIngress        = schema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"}
	kindHPA            = schema.GroupVersionKind{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"}
	kindNetworkPolicy  = schema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"}
	kindPDB            = schema.GroupVersionKind{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"}
)

// Objects returns all objects of a fleet in the order in which they are to be written: what a pod reads comes before
// the pod. It returns an error if a field of the spec cannot be converted, which the schema rules out.
func Objects(in Input) ([]Object, error) {
	gateway, redis := GatewayName(in.Name), RedisName(in.Name)
	var (
		account       = Ref{kindServiceAccount, gateway}
		adminSecret   = Ref{kindSecret, AdminSecretName(in.Name)}
		redisSecret   = Ref{kindSecret, redis}
		redisVolume   = Ref{kindPVC, redis}
		redisServer   = Ref{kindDeployment, redis}
		redisFront    = Ref{kindService, redis}
		gateways      = Ref{kindDeployment, gateway}
		service       = Ref{kindService, gateway}
		budget        = Ref{kindPDB, gateway}
		autoscaler    = Ref{kindHPA, gateway}
		ingress       = Ref{kindIngress, gateway}
		gatewayPolicy = Ref{kindNetworkPolicy, gateway}
		redisPolicy   = Ref{kindNetworkPolicy, redis}
		routeFront    = Ref{kindService, RouteServiceName(in.Name)}
		backend       = Ref{kindXBackend, gateway}
		route         = Ref{kindHTTPRoute, gateway}
		monitor       = Ref{kindPodMonitor, gateway}
		rules         = Ref{kindPrometheusRule, gateway}
		dashboards    = Ref{kindConfigMap, DashboardName(in.Name)}
	)

	gatewayNeeds := []Ref{account, adminSecret}
	if in.managedRedis() {
		gatewayNeeds = append(gatewayNeeds, redisSecret, redisServer, redisFront)
	}

	patches := patches(in)
	var built []Object
	for _, part := range []struct {
		ref   Ref
		build func(Input) (any, error)
		needs []Ref
	}{
		{account, serviceAccount, nil},
		{adminSecret, adminTokenSecret, nil},
		{redisSecret, redisCredentials, nil},
		{redisPolicy, redisNetworkPolicy, nil},
		{redisVolume, redisVolumeClaim, nil},
		{redisServer, redisDeployment, []Ref{account, redisSecret, redisVolume}},
		{redisFront, redisService, nil},
		{gatewayPolicy, gatewayNetworkPolicy, nil},
		{gateways, gatewayDeployment, gatewayNeeds},
		{service, gatewayService, nil},
		{budget, gatewayBudget, nil},
		{autoscaler, gatewayAutoscaler, nil},
		{ingress, gatewayIngress, []Ref{service}},
		{routeFront, routeService, nil},
		{backend, routeBackend, nil},
		{route, httpRoute, []Ref{routeFront, backend}},
		{monitor, podMonitor, nil},
		{rules, prometheusRule, nil},
		{dashboards, dashboard, nil},
	} {
		fields, err := part.build(in)
		if err != nil {
			return nil, fmt.Errorf("render %s: %w", part.ref, err)
		}
		object := Object{Ref: part.ref, Needs: part.needs}
		if fields != nil {
			if err := object.finish(fields, in, patches); err != nil {
				return nil, fmt.Errorf("render %s: %w", part.ref, err)
			}
		}
		built = append(built, object)
	}
	return built, nil
}

// IsGateway reports whether gateway pods start from the object. The operator does not change such objects while
// something that a new pod would need is missing.
func (o Object) IsGateway() bool {
	return o.Kind == kindDeployment && o.isOf(ComponentGateway)
}

// IsManagedRedis reports whether the object belongs to the managed Redis.
func (o Object) IsManagedRedis(cluster string) bool { return o.Name == RedisName(cluster) }

// isOf reports whether the object belongs to the component.
func (o Object) isOf(component string) bool {
	return o.Desired != nil && o.Desired.GetLabels()[labelComponent] == component
}

// finish sets Desired to the fields with what every object of the fleet has, and with the user's patch.
func (o *Object) finish(fields any, in Input, patches map[Ref]patch) error {
	var err error
	if o.Desired, err = toUnstructured(fields); err != nil {
		return err
	}
	addMetadata(o.Desired, in.Spec.Metadata)
	var patchedBy any
	if patch := patches[o.Ref]; patch.content != nil {
		o.PatchField = patch.field
		patched, err := patch.apply(o.Desired)
		switch {
		case err != nil:
			o.PatchProblem = err.Error()
		case !reflect.DeepEqual(patched, o.Desired):
			o.Desired, patchedBy = patched, patch.content
		}
	}
	if err := in.stamp(o.Ref, o.Desired, patchedBy); err != nil {
		return err
	}
	return addHash(o.Desired)
}

// toUnstructured converts what a part of the fleet was built as to unstructured data: an apply configuration, or a map
// where client-go has none.
func toUnstructured(fields any) (*unstructured.Unstructured, error) {
	if _, isMap := fields.(map[string]any); isMap {
		raw, err := json.Marshal(fields)
		if err != nil {
			return nil, err
		}
		object := &unstructured.Unstructured{}
		return object, object.UnmarshalJSON(raw)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(fields)
	if err != nil {
		return nil, err
	}
	return &unstructured.Unstructured{Object: content}, nil
}

// addMetadata adds the spec's labels and annotations to an object. Those that the object has win.
func addMetadata(object *unstructured.Unstructured, metadata v1alpha1.MetadataSpec) {
	if len(metadata.Labels) > 0 {
		object.SetLabels(merged(metadata.Labels.Strings(), object.GetLabels()))
	}
	if len(metadata.Annotations) > 0 {
		object.SetAnnotations(merged(metadata.Annotations, object.GetAnnotations()))
	}
}

// addHash adds the annotation with the hash of all other fields.
func addHash(object *unstructured.Unstructured) error {
	raw, err := json.Marshal(object.Object)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(raw)
	object.SetAnnotations(merged(object.GetAnnotations(), map[string]string{
		AnnotationApplied: hex.EncodeToString(sum[:16]),
	}))
	return nil
}

// merged returns a map of both maps' entries. Those of winner win.
func merged(base, winner map[string]string) map[string]string {
	all := make(map[string]string, len(base)+len(winner))
	maps.Copy(all, base)
	maps.Copy(all, winner)
	return all
}

// owner returns the reference that makes the WebSocketCluster the controller of an object. Kubernetes deletes the
// object with the WebSocketCluster.
func (in Input) owner() *metaac.OwnerReferenceApplyConfiguration {
	return metaac.OwnerReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).
		WithKind(v1alpha1.KindWebSocketCluster).
		WithName(in.Name).
		WithUID(in.UID).
		WithController(true).
		WithBlockOwnerDeletion(true)
}

// lastOwner returns the reference of objects that a deletion of the WebSocketCluster must not take away before it is
// gone itself: a deletion in the foreground (kubectl delete --cascade=foreground) begins with the objects that block
// it.
func (in Input) lastOwner() *metaac.OwnerReferenceApplyConfiguration {
	return in.owner().WithBlockOwnerDeletion(false)
}

// convert returns the apply configuration with the same fields as the API type.
func convert[T any](from any) (*T, error) {
	raw, err := json.Marshal(from)
	if err != nil {
		return nil, err
	}
	to := new(T)
	if err := json.Unmarshal(raw, to); err != nil {
		return nil, err
	}
	return to, nil
}

// convertAll converts each element of a list.
func convertAll[T, F any](from []F) ([]*T, error) {
	var all []*T
	for _, each := range from {
		one, err := convert[T](each)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}
