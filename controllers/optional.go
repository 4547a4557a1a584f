package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

// servedRecheck is how soon the operator looks again at a definition that the API server has accepted and does not
// serve yet.
const servedRecheck = time.Second

// optionalKinds knows which kinds of other projects the cluster has, and watches the fleets' objects of those. It goes
// by the CustomResourceDefinitions: the metadata of all is watched, and the definition of an optional kind is read when
// it changes, because its schema says what the kind can express. Discovery says nothing of schemas, and would have to
// be polled. The methods may be called by several goroutines at once.
type optionalKinds struct {
	// definitions reads CustomResourceDefinitions, and whether objects can be listed, from the API server.
	definitions client.Reader
	mapper      meta.RESTMapper
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
func newOptionalKinds(mgr manager.Manager, namespaces []string) (*optionalKinds, error) {
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
		definitions: mgr.GetAPIReader(),
		mapper:      mgr.GetRESTMapper(),
		objects:     objects,
		namespaces:  namespaces,
		changed:     make(chan event.GenericEvent),
		installed:   render.Installed{},
	}, nil
}

// startedAsCache makes the manager start a cache before the controllers.
type startedAsCache struct{ cache.Cache }

// GetCache returns the cache.
func (s startedAsCache) GetCache() cache.Cache { return s.Cache }

// addController adds a controller that follows the CustomResourceDefinitions of optional kinds. It returns an error
// when the manager refuses it.
func (k *optionalKinds) addController(mgr manager.Manager) error {
	optional := predicate.NewPredicateFuncs(func(definition client.Object) bool {
		_, found := optionalKindOf(definition.GetName())
		return found
	})
	err := builder.ControllerManagedBy(mgr).
		Named("optionalkinds").
		For(&apiextensionsv1.CustomResourceDefinition{}, builder.OnlyMetadata, builder.WithPredicates(optional)).
		Complete(k)
	if err != nil {
		return fmt.Errorf("set up the controller of optional kinds: %w", err)
	}
	return nil
}

// Reconcile looks up one definition again. It returns an error when the definition cannot be read or the watch of the
// kind does not start.
func (k *optionalKinds) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	kind, found := optionalKindOf(request.Name)
	if !found {
		return reconcile.Result{}, nil
	}
	changed, err := k.lookUp(ctx, kind)
	if meta.IsNoMatchError(err) {
		return reconcile.Result{RequeueAfter: servedRecheck}, nil
	}
	if err != nil || !changed {
		return reconcile.Result{}, err
	}
	select {
	case k.changed <- event.GenericEvent{Object: definitionMetadata(kind)}:
	case <-ctx.Done():
	}
	return reconcile.Result{}, nil
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

// update reads the definition of the kind, and starts or stops the watch of its objects. It reports whether what the
// operator can do with the kind has changed. It returns a NoMatchError when the API server does not serve the kind yet,
// and an error when the definition cannot be read or the watch does not start. The caller holds k.mu.
func (k *optionalKinds) update(ctx context.Context, kind render.OptionalKind) (bool, error) {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	err := k.definitions.Get(ctx, client.ObjectKey{Name: kind.Definition}, definition)
	if client.IgnoreNotFound(err) != nil && !apierrors.IsForbidden(err) {
		return false, fmt.Errorf("read CustomResourceDefinition %s: %w", kind.Definition, err)
	}
	before, was := k.installed[kind.Kind]
	features, is := featuresOf(definition, kind)
	switch {
	case err != nil, !is:
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
	options := []client.ListOption{client.Limit(1)}
	if len(k.namespaces) > 0 {
		options = append(options, client.InNamespace(k.namespaces[0]))
	}
	if err := k.definitions.List(ctx, objects, options...); err != nil {
		return err //nolint:wrapcheck // the caller tells the API server's errors apart
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

// featuresOf returns what the kind can express by its definition, and whether the API server serves the operator's
// version of it.
func featuresOf(
	definition *apiextensionsv1.CustomResourceDefinition, kind render.OptionalKind,
) (render.Features, bool) {
	// The API server deletes the objects before the definition.
	if definition.DeletionTimestamp != nil || !isEstablished(definition) {
		return render.Features{}, false
	}
	for _, version := range definition.Spec.Versions {
		if version.Name == kind.Kind.Version && version.Served && version.Schema != nil {
			return render.Features{SessionPersistence: persistenceOf(version.Schema.OpenAPIV3Schema, kind)}, true
		}
	}
	return render.Features{}, false
}

func isEstablished(definition *apiextensionsv1.CustomResourceDefinition) bool {
	return slices.ContainsFunc(definition.Status.Conditions,
		func(one apiextensionsv1.CustomResourceDefinitionCondition) bool {
			return one.Type == apiextensionsv1.Established && one.Status == apiextensionsv1.ConditionTrue
		})
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

// optionalKindOf returns the optional kind whose definition has the name.
func optionalKindOf(definition string) (render.OptionalKind, bool) {
	for _, kind := range render.OptionalKinds() {
		if kind.Definition == definition {
			return kind, true
		}
	}
	return render.OptionalKind{}, false
}

func definitionMetadata(kind render.OptionalKind) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: kind.Definition}}
}
