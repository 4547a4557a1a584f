package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/openapi"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/wsfleet/wsfleet/controllers/metricsapi"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// discoveredScope is the clusterScope of an operator that may read objects of its namespaces only. It goes by
// discovery and by the published schemas, which every authenticated client may read, and asks for them at an interval:
// they cannot be watched. Neither tells of IngressClasses. It is a manager's Runnable.
type discoveredScope struct {
	server   *discovery.DiscoveryClient
	interval time.Duration
	// kinds is refreshed at the interval.
	kinds *optionalKinds
	// ownerChanged gets an event when another server has the custom metrics API.
	ownerChanged chan event.GenericEvent

	// mu guards the fields below.
	mu sync.Mutex
	// owner is the last known server of the custom metrics API, or nil before the first answer.
	owner *metricsapi.Owner
	// published has what the last schema of each kind can express.
	published map[schema.GroupVersionKind]publishedFeatures
}

// publishedFeatures are the features by a published schema.
type publishedFeatures struct {
	// url is the address of the schema, which changes with its content.
	url string
	render.Features
}

func newDiscoveredScope(server *discovery.DiscoveryClient, interval time.Duration) *discoveredScope {
	return &discoveredScope{
		server:       server,
		interval:     interval,
		ownerChanged: make(chan event.GenericEvent),
		published:    map[schema.GroupVersionKind]publishedFeatures{},
	}
}

func (*discoveredScope) ingressClasses(context.Context) ([]networkingv1.IngressClass, bool, error) {
	return nil, false, nil
}

func (d *discoveredScope) metricsOwner(ctx context.Context) (metricsapi.Owner, error) {
	if known := d.knownOwner(); known != nil {
		return *known, nil
	}
	_, err := d.refreshOwner(ctx)
	if err != nil {
		return metricsapi.Owner{}, err
	}
	return *d.knownOwner(), nil
}

func (d *discoveredScope) knownOwner() *metricsapi.Owner {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.owner
}

// refreshOwner asks for the server of the custom metrics API, and reports whether it is another one than before. A
// server that does not answer for now is taken for the one that it was. It returns an error when the API server does
// not answer.
func (d *discoveredScope) refreshOwner(ctx context.Context) (changed bool, err error) {
	owner, err := d.discoverOwner(ctx)
	if err != nil {
		return false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.owner != nil && (owner.Kind == metricsapi.OwnerUnknown || *d.owner == owner) {
		return false, nil
	}
	changed = d.owner != nil
	d.owner = &owner
	return changed, nil
}

// discoverOwner returns the server of the custom metrics API. It returns an error when the API server does not answer.
func (d *discoveredScope) discoverOwner(ctx context.Context) (metricsapi.Owner, error) {
	resources := map[string][]string{}
	for _, version := range metricsapi.Versions() {
		group := schema.GroupVersion{Group: metricsapi.GroupName, Version: version}
		found, err := d.resources(ctx, group)
		if status := apierrors.APIStatus(nil); errors.As(err, &status) {
			return metricsapi.Owner{Kind: metricsapi.OwnerUnknown}, nil
		}
		if err != nil {
			return metricsapi.Owner{}, err
		}
		if found == nil {
			continue
		}
		var names []string
		for _, resource := range found.APIResources {
			names = append(names, resource.Name)
		}
		resources[version] = names
	}
	return metricsapi.OwnerByDiscovery(resources), nil
}

// resources returns what the API server serves of a group's version, or nil when it does not know the version. It
// returns an error when the API server, or the server behind it, does not answer.
func (d *discoveredScope) resources(
	ctx context.Context, group schema.GroupVersion,
) (*metav1.APIResourceList, error) {
	found, err := d.server.ServerResourcesForGroupVersionWithContext(ctx, group.String())
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask which resources %s has: %w", group, err)
	}
	return found, nil
}

func (d *discoveredScope) features(ctx context.Context, kind render.OptionalKind) (render.Features, bool, error) {
	found, err := d.resources(ctx, kind.Kind.GroupVersion())
	if apierrors.IsForbidden(err) {
		return render.Features{}, false, nil
	}
	if err != nil || found == nil || !serves(found, kind.Kind.Kind) {
		return render.Features{}, false, err
	}
	if kind.SessionPersistence == nil {
		return render.Features{}, true, nil
	}
	return d.publishedFeatures(ctx, kind)
}

// serves reports whether objects of the kind can be created. They cannot while its definition is being deleted.
func serves(found *metav1.APIResourceList, kind string) bool {
	return slices.ContainsFunc(found.APIResources, func(one metav1.APIResource) bool {
		return one.Kind == kind && slices.Contains(one.Verbs, "create")
	})
}

// publishedFeatures returns what the kind can express by its published schema, and whether there is one: it follows
// the definition after a moment. The schema, which is large, is read only when it has changed. publishedFeatures
// returns an error when it cannot be read.
func (d *discoveredScope) publishedFeatures(
	ctx context.Context, kind render.OptionalKind,
) (render.Features, bool, error) {
	paths, err := d.server.OpenAPIV3WithContext(ctx).PathsWithContext(ctx)
	if err != nil {
		return render.Features{}, false, fmt.Errorf("list the published schemas: %w", err)
	}
	path, found := paths["apis/"+kind.Kind.GroupVersion().String()]
	if !found {
		return render.Features{}, false, nil
	}
	url := path.ServerRelativeURL()
	d.mu.Lock()
	known := d.published[kind.Kind]
	d.mu.Unlock()
	if known.url == url {
		return known.Features, true, nil
	}
	properties, err := schemaOf(ctx, path, kind.Kind)
	if err != nil || properties == nil {
		return render.Features{}, false, err
	}
	known = publishedFeatures{url, render.Features{SessionPersistence: persistenceOf(properties, kind)}}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.published[kind.Kind] = known
	return known.Features, true, nil
}

// schemaOf returns the published schema of the kind, or nil when there is none. It returns an error when it cannot be
// read.
func schemaOf(
	ctx context.Context, path openapi.GroupVersionWithContext, kind schema.GroupVersionKind,
) (*apiextensionsv1.JSONSchemaProps, error) {
	raw, err := path.SchemaWithContext(ctx, runtime.ContentTypeJSON)
	if err != nil {
		return nil, fmt.Errorf("read the published schemas of %s: %w", kind.GroupVersion(), err)
	}
	var document struct {
		Components struct {
			Schemas map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		return nil, fmt.Errorf("read the published schemas of %s: %w", kind.GroupVersion(), err)
	}
	for _, encoded := range document.Components.Schemas {
		var identity struct {
			Kinds []metav1.GroupVersionKind `json:"x-kubernetes-group-version-kind"`
		}
		if json.Unmarshal(encoded, &identity) != nil || !slices.Contains(identity.Kinds, metav1.GroupVersionKind(kind)) {
			continue
		}
		found := &apiextensionsv1.JSONSchemaProps{}
		if err := json.Unmarshal(encoded, found); err != nil {
			return nil, fmt.Errorf("read the published schema of %s: %w", kind, err)
		}
		return found, nil
	}
	return nil, nil
}

func (d *discoveredScope) enqueue(fleets *builder.Builder, mapper clusterMapper) {
	fleets.WatchesRawSource(
		source.Channel(d.ownerChanged, handler.EnqueueRequestsFromMapFunc(mapper.withAutoscaling)))
}

func (d *discoveredScope) follow(mgr manager.Manager, kinds *optionalKinds) error {
	d.kinds = kinds
	if err := mgr.Add(d); err != nil {
		return fmt.Errorf("add the discovery of optional kinds and of the metrics API: %w", err)
	}
	return nil
}

// Start asks at the interval what the cluster has, until ctx ends. It returns nil.
func (d *discoveredScope) Start(ctx context.Context) error {
	tick := time.NewTicker(d.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := d.refresh(ctx); err != nil && ctx.Err() == nil {
				log.FromContext(ctx).Info("Could not find out what the cluster has, and asks again", "error", err.Error())
			}
		}
	}
}

// refresh asks what the cluster has, and enqueues the fleets that a change concerns. It returns the errors of all
// questions, joined.
func (d *discoveredScope) refresh(ctx context.Context) error {
	var all []error
	for _, kind := range render.OptionalKinds() {
		// Of a kind that is not served yet, the next question is soon enough.
		if err := d.kinds.refresh(ctx, kind); !meta.IsNoMatchError(err) {
			all = append(all, err)
		}
	}
	changed, err := d.refreshOwner(ctx)
	if changed {
		group := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: metricsapi.GroupName}}
		select {
		case d.ownerChanged <- event.GenericEvent{Object: group}:
		case <-ctx.Done():
		}
	}
	return errors.Join(append(all, err)...)
}
