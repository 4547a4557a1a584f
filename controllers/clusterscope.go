package controllers

import (
	"context"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/discovery"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/wsfleet/wsfleet/controllers/metricsapi"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// clusterScope answers what fleets depend on of objects that have no namespace, and follows the changes of those. Its
// methods may be called by several goroutines at once.
type clusterScope interface {
	// ingressClasses returns the IngressClasses, and false when the operator does not read them. It returns an error when
	// they cannot be read for now.
	ingressClasses(ctx context.Context) ([]networkingv1.IngressClass, bool, error)
	// metricsOwner returns the server of the custom metrics API. It returns an error when it cannot be found out for now.
	metricsOwner(ctx context.Context) (metricsapi.Owner, error)
	// features returns what an optional kind can express, and whether the API server serves it in the operator's version.
	// It returns an error when that cannot be found out for now.
	features(ctx context.Context, kind render.OptionalKind) (render.Features, bool, error)
	// enqueue makes the controller of the fleets reconcile those that a change of what ingressClasses and metricsOwner
	// return concerns.
	enqueue(fleets *builder.Builder, mapper clusterMapper)
	// follow makes the manager call the refresh of kinds when what features returns may have changed. It returns an error
	// when the manager refuses that.
	follow(mgr manager.Manager, kinds *optionalKinds) error
}

// newClusterScope returns the clusterScope for the operator's permissions. It returns an error when the manager's
// configuration cannot be used.
func newClusterScope(mgr manager.Manager, options Options) (clusterScope, error) {
	if !options.Namespaced {
		return &watchedScope{cache: mgr.GetClient(), live: mgr.GetAPIReader()}, nil
	}
	server, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("make a client for discovery: %w", err)
	}
	return newDiscoveredScope(server, options.Recheck), nil
}

// watchedScope is the clusterScope of an operator that may read the objects themselves. It watches them.
type watchedScope struct {
	cache client.Reader
	// live reads CustomResourceDefinitions, whose metadata alone is watched.
	live client.Reader
}

func (s *watchedScope) ingressClasses(ctx context.Context) ([]networkingv1.IngressClass, bool, error) {
	var classes networkingv1.IngressClassList
	if err := s.cache.List(ctx, &classes); err != nil {
		return nil, true, fmt.Errorf("list IngressClasses: %w", err)
	}
	return classes.Items, true, nil
}

func (s *watchedScope) metricsOwner(ctx context.Context) (metricsapi.Owner, error) {
	var apiServices apiregistrationv1.APIServiceList
	if err := s.cache.List(ctx, &apiServices); err != nil {
		return metricsapi.Owner{}, fmt.Errorf("list APIServices: %w", err)
	}
	return metricsapi.OwnerOf(apiServices.Items), nil
}

func (s *watchedScope) enqueue(fleets *builder.Builder, mapper clusterMapper) {
	fleets.
		Watches(&apiregistrationv1.APIService{}, handler.EnqueueRequestsFromMapFunc(mapper.withAutoscaling),
			builder.WithPredicates(isMetricsAPI())).
		Watches(&networkingv1.IngressClass{}, handler.EnqueueRequestsFromMapFunc(mapper.withIngress))
}
