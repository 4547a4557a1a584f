package controllers

import (
	"fmt"
	"net/http"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// NewMapper returns a RESTMapper that knows the kinds that every API server has and the operator cannot do without, and
// asks the API server for the others. An operator that starts while there is no API server waits for it then, where it
// would end with the first question otherwise, and start ever later. NewMapper returns an error when config cannot be
// used.
func NewMapper(config *rest.Config, client *http.Client) (meta.RESTMapper, error) {
	asking, err := apiutil.NewDynamicRESTMapper(config, client)
	if err != nil {
		return nil, fmt.Errorf("make a mapper of kinds to resources: %w", err)
	}
	return meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{knownKinds(), asking}}, nil
}

// knownKinds returns a mapper of the kinds that exist on every Kubernetes that is supported.
func knownKinds() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	add := func(scope meta.RESTScope, version schema.GroupVersion, kinds ...string) {
		for _, kind := range kinds {
			mapper.Add(version.WithKind(kind), scope)
		}
	}
	add(meta.RESTScopeNamespace, v1alpha1.GroupVersion, v1alpha1.KindWebSocketCluster)
	add(meta.RESTScopeNamespace, appsv1.SchemeGroupVersion, "Deployment")
	add(meta.RESTScopeNamespace, corev1.SchemeGroupVersion, "ConfigMap", "Pod", "Secret", "Service", "ServiceAccount")
	add(meta.RESTScopeNamespace, autoscalingv2.SchemeGroupVersion, "HorizontalPodAutoscaler")
	add(meta.RESTScopeNamespace, policyv1.SchemeGroupVersion, "PodDisruptionBudget")
	add(meta.RESTScopeNamespace, networkingv1.SchemeGroupVersion, "Ingress", "NetworkPolicy")
	add(meta.RESTScopeRoot, networkingv1.SchemeGroupVersion, "IngressClass")
	add(meta.RESTScopeRoot, apiregistrationv1.SchemeGroupVersion, "APIService")
	add(meta.RESTScopeRoot, apiextensionsv1.SchemeGroupVersion, "CustomResourceDefinition")
	return mapper
}
