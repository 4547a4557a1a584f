package controllers

import (
	"context"
	"fmt"
	"maps"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

// optionalKinds knows which kinds of other projects the cluster has, and watches the fleets' objects of those. The
// clusterScope says what each kind can express, and calls refresh when that may have changed. The methods may be called
// by several goroutines at once.
type optionalKinds struct {
	scope clusterScope
	// live reads from the API server whether objects can be listed.
	live   client.Reader
	mapper meta.RESTMapper
	// objects caches the fleets' objects of the installed kinds. It is not the manager's cache, which refuses selectors
	// for kinds that are not installed when it is made.
	objects cache.Cache
	// watch adds a source to the controller of the fleets.
	watch func(source.Source) error
	// namespaces are those in which the operator works. None means all.
	namespaces []string
	// changed gets an event when a kind was installed or removed, or its features have changed.
	changed chan event.GenericEvent

	// mu guards the fields below.
	mu sync.Mutex
	// loaded reports whether every definition has been looked up.
	loaded    bool
	installed render.Installed
}

// newOptionalKinds returns optionalKinds that read through the manager, and adds its cache to it. The caller sets watch
// before the manager starts. No namespaces means all. It returns an error when the manager refuses the cache.
func newOptionalKinds(mgr manager.Manager, scope clusterScope, namespaces []string) (*optionalKinds, error) {
	options, err := ownedOnly(namespaces)
	if err != nil {
		return nil, fmt.Errorf("choose what to cache of optional kinds: %w", err)
	}
	options.Scheme, options.Mapper, options.HTTPClient = mgr.GetScheme(), mgr.GetRESTMapper(), mgr.GetHTTPClient()
	objects, err := cache.New(mgr.GetConfig(), options)
	if err != nil {
		return nil, fmt.Errorf("make the cache of optional kinds: %w", err)
	}
	if err := mgr.Add(startedAsCache{objects}); err != nil {
		return nil, fmt.Errorf("add the cache of optional kinds: %w", err)
	}
	return &optionalKinds{
		scope:      scope,
		live:       mgr.GetAPIReader(),
		mapper:     mgr.GetRESTMapper(),
		objects:    objects,
		namespaces: namespaces,
		changed:    make(chan event.GenericEvent),
		installed:  render.Installed{},
	}, nil
}

// startedAsCache makes the manager start a cache before the controllers.
type startedAsCache struct{ cache.Cache }

// GetCache returns the cache.
func (s startedAsCache) GetCache() cache.Cache { return s.Cache }

// refresh looks up one kind again, and enqueues the fleets that can have objects of it when something has changed. It
// returns a NoMatchError when the API server does not serve the kind yet, and an error when the kind cannot be looked
// up or its watch does not start.
func (k *optionalKinds) refresh(ctx context.Context, kind render.OptionalKind) error {
	changed, err := k.lookUp(ctx, kind)
	if err != nil || !changed {
		return err
	}
	select {
	case k.changed <- event.GenericEvent{Object: definitionMetadata(kind)}:
	case <-ctx.Done():
	}
	return nil
}

// Installed returns the kinds that the cluster has. The first call looks up all definitions, so that a fleet is never
// rendered as if kinds were missing that only have not been looked up. It returns an error when one cannot be read.
func (k *optionalKinds) Installed(ctx context.Context) (render.Installed, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.loaded {
		for _, kind := range render.OptionalKinds() {
			// The controller waits for a kind that is not served yet.
			if _, err := k.update(ctx, kind); err != nil && !meta.IsNoMatchError(err) {
				return nil, err
			}
		}
		k.loaded = true
	}
	return maps.Clone(k.installed), nil
}

// lookUp is update for callers that do not hold k.mu.
func (k *optionalKinds) lookUp(ctx context.Context, kind render.OptionalKind) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.update(ctx, kind)
}

// update looks the kind up, and starts or stops the watch of its objects. It reports whether what the operator can do
// with the kind has changed. It returns a NoMatchError when the API server does not serve the kind yet, and an error
// when the kind cannot be looked up or the watch does not start. The caller holds k.mu.
func (k *optionalKinds) update(ctx context.Context, kind render.OptionalKind) (bool, error) {
	features, is, err := k.scope.features(ctx, kind)
	if err != nil {
		return false, err
	}
	before, was := k.installed[kind.Kind]
	switch {
	case !is:
		return was, k.remove(ctx, kind, was)
	case !was:
		err := k.add(ctx, kind)
		if apierrors.IsForbidden(err) {
			log.FromContext(ctx).Info("The operator may not read an optional kind and does without it: "+
				"give it the role of config/rbac", "kind", kind.Kind.String(), "error", err.Error())
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	k.installed[kind.Kind] = features
	return !was || before != features, nil
}

// add starts the watch of the kind's objects. It returns a NoMatchError when the API server does not serve the kind
// yet, the API server's error when the objects cannot be listed, and the controller's error. The caller holds k.mu.
func (k *optionalKinds) add(ctx context.Context, kind render.OptionalKind) error {
	if _, err := k.mapper.RESTMapping(kind.Kind.GroupKind(), kind.Kind.Version); err != nil {
		return err //nolint:wrapcheck // the caller tells NoMatchErrors apart
	}
	// Reads from the cache of a kind that cannot be listed would wait for ever.
	objects := &metav1.PartialObjectMetadataList{}
	objects.SetGroupVersionKind(kind.Kind)
	for _, namespace := range namespacesOrAll(k.namespaces) {
		if err := k.live.List(ctx, objects, client.Limit(1), client.InNamespace(namespace)); err != nil {
			return err //nolint:wrapcheck // the caller tells the API server's errors apart
		}
	}
	log.FromContext(ctx).Info("An optional kind is installed", "kind", kind.Kind.String())
	byLabel := handler.EnqueueRequestsFromMapFunc(clusterOfLabel)
	if err := k.watch(source.Kind(k.objects, cachedObject(render.Ref{Kind: kind.Kind}), byLabel)); err != nil {
		return fmt.Errorf("watch %s: %w", kind.Kind.Kind, err)
	}
	return nil
}

// remove stops the watch of the kind's objects, if it was there. It returns the cache's error. The caller holds k.mu.
func (k *optionalKinds) remove(ctx context.Context, kind render.OptionalKind, was bool) error {
	if !was {
		return nil
	}
	log.FromContext(ctx).Info("An optional kind is no longer installed", "kind", kind.Kind.String())
	if err := k.objects.RemoveInformer(ctx, cachedObject(render.Ref{Kind: kind.Kind})); err != nil {
		return fmt.Errorf("stop watching %s: %w", kind.Kind.Kind, err)
	}
	delete(k.installed, kind.Kind)
	return nil
}

// served reports whether the cluster has the kind, as far as the operator knows. It has every kind that is not
// optional. Without optionalKinds it has no optional one.
func (k *optionalKinds) served(kind schema.GroupVersionKind) bool {
	if k == nil || !render.IsOptional(kind) {
		return !render.IsOptional(kind)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.installed.Has(kind)
}

// persistenceOf returns the shape of session persistence in the schema of the kind.
func persistenceOf(schema *apiextensionsv1.JSONSchemaProps, kind render.OptionalKind) render.PersistenceShape {
	persistence := fieldOf(schema, kind.SessionPersistence)
	if persistence == nil {
		return render.PersistenceNone
	}
	for _, shape := range []render.PersistenceShape{render.PersistenceByCookie, render.PersistenceBySessionName} {
		if _, found := persistence.Properties[string(shape)]; found {
			return shape
		}
	}
	return render.PersistenceNone
}

// fieldOf returns the schema of the field at path, whose elements are those of render.OptionalKind.SessionPersistence,
// or nil when there is none.
func fieldOf(schema *apiextensionsv1.JSONSchemaProps, path []string) *apiextensionsv1.JSONSchemaProps {
	if schema == nil || len(path) == 0 {
		return nil
	}
	for _, name := range path {
		if name == "[]" {
			if schema.Items == nil || schema.Items.Schema == nil {
				return nil
			}
			schema = schema.Items.Schema
			continue
		}
		property, found := schema.Properties[name]
		if !found {
			return nil
		}
		schema = &property
	}
	return schema
}

// notInstalled returns the problems of a spec that insists on kinds that the cluster does not have. The condition
// Exposed tells of the Gateway API.
func notInstalled(spec v1alpha1.WebSocketClusterSpec, installed render.Installed) []status.Problem {
	var problems []status.Problem
	for _, wanted := range []struct {
		field string
		mode  v1alpha1.MonitoringMode
		kind  schema.GroupVersionKind
	}{
		{"spec.monitoring.podMonitor", spec.Monitoring.PodMonitor, render.PodMonitorRef("").Kind},
		{"spec.monitoring.rules", spec.Monitoring.Rules, render.PrometheusRuleRef("").Kind},
	} {
		if wanted.mode == v1alpha1.MonitoringEnabled && !installed.Has(wanted.kind) {
			problems = append(problems, status.Problem{
				Reason: v1alpha1.ReasonKindNotInstalled,
				Message: fmt.Sprintf("%s is Enabled, and the cluster has no %ss of %s: install the definitions of the "+
					"Prometheus Operator, or set the field to Auto or Disabled", wanted.field, wanted.kind.Kind,
					wanted.kind.GroupVersion()),
			})
		}
	}
	return problems
}

func definitionMetadata(kind render.OptionalKind) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: kind.Definition}}
}
