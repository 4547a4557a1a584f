package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wsfleet/wsfleet/controllers/render"
)

// servedRecheck is how soon the operator looks again at a definition that the API server has accepted and does not
// serve yet.
const servedRecheck = time.Second

// features reads the CustomResourceDefinition of the kind, because its schema says what the kind can express.
func (s *watchedScope) features(ctx context.Context, kind render.OptionalKind) (render.Features, bool, error) {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	err := s.live.Get(ctx, client.ObjectKey{Name: kind.Definition}, definition)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return render.Features{}, false, nil
	}
	if err != nil {
		return render.Features{}, false, fmt.Errorf("read CustomResourceDefinition %s: %w", kind.Definition, err)
	}
	features, served := featuresOf(definition, kind)
	return features, served, nil
}

// follow adds a controller that follows the CustomResourceDefinitions of optional kinds.
func (s *watchedScope) follow(mgr manager.Manager, kinds *optionalKinds) error {
	optional := predicate.NewPredicateFuncs(func(definition client.Object) bool {
		_, found := optionalKindOf(definition.GetName())
		return found
	})
	err := builder.ControllerManagedBy(mgr).
		Named("optionalkinds").
		For(&apiextensionsv1.CustomResourceDefinition{}, builder.OnlyMetadata, builder.WithPredicates(optional)).
		Complete(definitionFollower{kinds})
	if err != nil {
		return fmt.Errorf("set up the controller of optional kinds: %w", err)
	}
	return nil
}

// definitionFollower looks an optional kind up again when its CustomResourceDefinition has changed.
type definitionFollower struct{ kinds *optionalKinds }

// Reconcile looks up one definition again. It returns an error when the definition cannot be read or the watch of the
// kind does not start.
func (f definitionFollower) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	kind, found := optionalKindOf(request.Name)
	if !found {
		return reconcile.Result{}, nil
	}
	err := f.kinds.refresh(ctx, kind)
	if meta.IsNoMatchError(err) {
		return reconcile.Result{RequeueAfter: servedRecheck}, nil
	}
	return reconcile.Result{}, err
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

// optionalKindOf returns the optional kind whose definition has the name.
func optionalKindOf(definition string) (render.OptionalKind, bool) {
	for _, kind := range render.OptionalKinds() {
		if kind.Definition == definition {
			return kind, true
		}
	}
	return render.OptionalKind{}, false
}
