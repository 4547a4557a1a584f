package controllers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// Options configure the operator for its environment.
type Options struct {
	// Images are the images of the operator's release. Both are required.
	Images render.Images

	// OperatorNamespace is the namespace of the operator and of the metrics API, which NetworkPolicies let in. The default
	// lets in their pods in every namespace.
	OperatorNamespace string

	// Namespaces are those in which clusters are reconciled. The default is all. The manager's cache must have the same.
	Namespaces []string

	// Namespaced says that the operator reads nothing but the namespaces: what fleets depend on outside of them is found
	// out by discovery, or not at all.
	Namespaced bool

	// Access follows the namespaces in which a namespaced operator may work. Without it, the operator does not notice that
	// they change.
	Access *NamespaceAccess

	// MaxConcurrentReconciles is the maximum number of clusters that are reconciled at once. The default is 1.
	MaxConcurrentReconciles int

	// ScrapeInterval is the time between two scrapes of the gateways. The default is fleet.DefaultInterval.
	ScrapeInterval time.Duration

	// AdminAddress returns host:port of a gateway pod's admin endpoints, or "" while the pod has none. The default is the
	// pod's IP and contract.AdminPort.
	AdminAddress func(*corev1.Pod) string

	// Recheck is how soon the operator looks again at what it cannot watch, such as a foreign object that is in the way.
	// The default is 30 s.
	Recheck time.Duration

	// MaxConcurrentUpgrades is the maximum number of fleets that are rolled at once because the operator's release changes
	// their gateways. The default is 1.
	MaxConcurrentUpgrades int

	// StatusInterval is the minimum time between two writes of a cluster's status for the same generation. The default is
	// 2 s.
	StatusInterval time.Duration

	// Identity is the namespace and name of the Lease by which other operators know this one. Operators that elect a
	// leader among themselves have the same. By default the operator has none, and takes no notice of others.
	Identity client.ObjectKey

	// Silence is how long an operator may not renew its Lease until another one takes its fleets over. The default is
	// 60 s.
	Silence time.Duration

	// Metrics is where the operator's own metrics are registered. The default is controller-runtime's registry, which the
	// manager serves.
	Metrics prometheus.Registerer
}

func (o Options) withDefaults() Options {
	if o.MaxConcurrentReconciles == 0 {
		o.MaxConcurrentReconciles = 1
	}
	if o.ScrapeInterval == 0 {
		o.ScrapeInterval = fleet.DefaultInterval
	}
	if o.Recheck == 0 {
		o.Recheck = 30 * time.Second
	}
	if o.MaxConcurrentUpgrades == 0 {
		o.MaxConcurrentUpgrades = 1
	}
	if o.StatusInterval == 0 {
		o.StatusInterval = 2 * time.Second
	}
	if o.Silence == 0 {
		o.Silence = defaultSilence
	}
	if o.Metrics == nil {
		o.Metrics = metrics.Registry
	}
	return o
}

// NewScheme returns a scheme of every type that the operator reads and writes. It returns an error when two types
// conflict.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err //nolint:wrapcheck // nothing to add
	}
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		return nil, err //nolint:wrapcheck // nothing to add
	}
	if err := apiregistrationv1.AddToScheme(scheme); err != nil {
		return nil, err //nolint:wrapcheck // nothing to add
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err //nolint:wrapcheck // nothing to add
	}
	return scheme, nil
}

// CacheOptions returns options for a cache that holds only the objects with the operator's label, of Secrets and of
// CustomResourceDefinitions the metadata alone, and only those in namespaces. HorizontalPodAutoscalers need no label,
// because one of another client may scale a fleet. The cache trims each object to what the operator reads. No
// namespaces means all. CacheOptions returns an error only when the label is invalid, which it is not.
func CacheOptions(namespaces []string) (cache.Options, error) {
	options, err := ownedOnly(namespaces)
	if err != nil {
		return cache.Options{}, err
	}
	selector := options.DefaultLabelSelector
	owned := cache.ByObject{Label: selector, Transform: trimObject}
	options.DefaultLabelSelector, options.DefaultTransform = nil, nil
	options.ByObject = map[client.Object]cache.ByObject{
		&v1alpha1.WebSocketCluster{}:                {Transform: trimCluster},
		&networkingv1.IngressClass{}:                {Transform: trimIngressClass},
		&corev1.Secret{}:                            {Transform: trimSecret},
		&corev1.Pod{}:                               {Label: selector, Transform: trimPod},
		&corev1.Service{}:                           owned,
		&corev1.ServiceAccount{}:                    owned,
		&corev1.ConfigMap{}:                         owned,
		&appsv1.Deployment{}:                        owned,
		&networkingv1.Ingress{}:                     owned,
		&networkingv1.NetworkPolicy{}:               owned,
		&policyv1.PodDisruptionBudget{}:             owned,
		&autoscalingv2.HorizontalPodAutoscaler{}:    {Transform: trimAutoscaler},
		&apiregistrationv1.APIService{}:             {Transform: trimAPIService},
		&apiextensionsv1.CustomResourceDefinition{}: {Transform: trimDefinition},
	}
	return options, nil
}

// ownedOnly returns options for a cache that holds only the objects with the operator's label, of every kind, trimmed
// to what the operator reads, and only those in namespaces. No namespaces means all. ownedOnly returns an error only
// when the label is invalid, which it is not.
func ownedOnly(namespaces []string) (cache.Options, error) {
	hasLabel, err := labels.NewRequirement(render.LabelCluster, selection.Exists, nil)
	if err != nil {
		return cache.Options{}, err //nolint:wrapcheck // a constant label
	}
	options := cache.Options{
		DefaultLabelSelector: labels.NewSelector().Add(*hasLabel),
		DefaultTransform:     trimObject,
	}
	if len(namespaces) > 0 {
		options.DefaultNamespaces = map[string]cache.Config{}
		for _, namespace := range namespaces {
			options.DefaultNamespaces[namespace] = cache.Config{}
		}
	}
	return options, nil
}

// namespacesOrAll returns the namespaces, or the name that stands for all where there are none.
func namespacesOrAll(namespaces []string) []string {
	if len(namespaces) == 0 {
		return []string{corev1.NamespaceAll}
	}
	return namespaces
}
