package controllers

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// Options are what the operator's surroundings decide.
type Options struct {
	// Images of the operator's release; both are needed.
	Images render.Images

	// MaxConcurrentReconciles of different clusters; 0 means 1.
	MaxConcurrentReconciles int

	// ScrapeInterval between two looks at the gateways; 0 means fleet.DefaultInterval.
	ScrapeInterval time.Duration

	// AdminAddress is host:port of a gateway pod's admin endpoints, empty while it has none; nil
	// means the pod's IP and the contract's port.
	AdminAddress func(*corev1.Pod) string

	// Recheck is how soon the operator looks again at what it cannot watch, such as an object of
	// somebody else that is in the way; 0 means 30 s.
	Recheck time.Duration
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
	return o
}

// NewScheme knows every type that the operator reads and writes.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err //nolint:wrapcheck // says it all
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err //nolint:wrapcheck // says it all
	}
	return scheme, nil
}

// CacheOptions keep out of the operator's memory what is none of its business: it remembers only
// objects with its label, and of Secrets only their metadata. No namespaces means all.
func CacheOptions(namespaces []string) (cache.Options, error) {
	labelled, err := labels.NewRequirement(render.LabelCluster, selection.Exists, nil)
	if err != nil {
		return cache.Options{}, err //nolint:wrapcheck // a constant label
	}
	ours := cache.ByObject{Label: labels.NewSelector().Add(*labelled)}
	options := cache.Options{
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:                            ours,
			&corev1.Service{}:                        ours,
			&corev1.ServiceAccount{}:                 ours,
			&corev1.ConfigMap{}:                      ours,
			&appsv1.Deployment{}:                     ours,
			&networkingv1.Ingress{}:                  ours,
			&policyv1.PodDisruptionBudget{}:          ours,
			&autoscalingv2.HorizontalPodAutoscaler{}: ours,
		},
	}
	if len(namespaces) > 0 {
		options.DefaultNamespaces = map[string]cache.Config{}
		for _, namespace := range namespaces {
			options.DefaultNamespaces[namespace] = cache.Config{}
		}
	}
	return options, nil
}
