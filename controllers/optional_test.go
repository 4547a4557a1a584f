package controllers

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/wsfleet/wsfleet/controllers/render"
)

var httpRoute = render.OptionalKinds()[0]

// routeDefinition returns the definition of HTTPRoutes whose session persistence has the fields.
func routeDefinition(fields ...string) *apiextensionsv1.CustomResourceDefinition {
	rule := apiextensionsv1.JSONSchemaProps{Properties: map[string]apiextensionsv1.JSONSchemaProps{}}
	if len(fields) > 0 {
		persistence := apiextensionsv1.JSONSchemaProps{Properties: map[string]apiextensionsv1.JSONSchemaProps{}}
		for _, field := range fields {
			persistence.Properties[field] = apiextensionsv1.JSONSchemaProps{}
		}
		rule.Properties["sessionPersistence"] = persistence
	}
	properties := func(name string, schema apiextensionsv1.JSONSchemaProps) apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Properties: map[string]apiextensionsv1.JSONSchemaProps{name: schema}}
	}
	root := properties("spec", properties("rules",
		apiextensionsv1.JSONSchemaProps{Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &rule}}))
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: httpRoute.Definition},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{Versions: []apiextensionsv1.CustomResourceDefinitionVersion{
			{Name: "v1beta1", Served: true, Schema: &apiextensionsv1.CustomResourceValidation{}},
			{Name: "v1", Served: true, Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &root}},
		}},
		Status: apiextensionsv1.CustomResourceDefinitionStatus{
			Conditions: []apiextensionsv1.CustomResourceDefinitionCondition{
				{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue},
			},
		},
	}
}

func TestFeaturesOf(t *testing.T) {
	deleted := routeDefinition()
	deleted.DeletionTimestamp = &metav1.Time{}
	refused := routeDefinition()
	refused.Status.Conditions = nil
	old := routeDefinition()
	old.Spec.Versions[1].Served = false
	for _, c := range []struct {
		name       string
		definition *apiextensionsv1.CustomResourceDefinition
		want       render.PersistenceShape
		served     bool
	}{
		{"standard channel", routeDefinition(), render.PersistenceNone, true},
		{"1.6", routeDefinition("sessionName", "cookieConfig", "type"), render.PersistenceBySessionName, true},
		{"1.7", routeDefinition("cookie", "header", "type"), render.PersistenceByCookie, true},
		{"a shape of the future", routeDefinition("type"), render.PersistenceNone, true},
		{"being deleted", deleted, "", false},
		{"not established", refused, "", false},
		{"older version only", old, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			features, served := featuresOf(c.definition, httpRoute)
			assert.Equal(t, c.served, served)
			assert.Equal(t, c.want, features.SessionPersistence)
		})
	}
}

// removedInformers is a cache that counts the informers that are removed.
type removedInformers struct {
	cache.Cache
	removed int
}

func (r *removedInformers) RemoveInformer(context.Context, client.Object) error {
	r.removed++
	return nil
}

// kindsHarness is optionalKinds with a fake API server.
type kindsHarness struct {
	*optionalKinds
	server  client.Client
	caches  *removedInformers
	watched int
	// failure is the error of every read of a definition.
	failure error
	// listing is the error of every list.
	listing error
}

// newKindsHarness returns optionalKinds for an API server that serves HTTPRoutes once their definition is there.
func newKindsHarness(t *testing.T) *kindsHarness {
	t.Helper()
	scheme, err := NewScheme()
	require.NoError(t, err)
	h := &kindsHarness{caches: &removedInformers{}}
	h.server = fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, server client.WithWatch, key client.ObjectKey, object client.Object,
			options ...client.GetOption,
		) error {
			if h.failure != nil {
				return h.failure
			}
			return server.Get(ctx, key, object, options...)
		},
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			return h.listing
		},
	}).Build()
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(httpRoute.Kind, meta.RESTScopeNamespace)
	h.optionalKinds = &optionalKinds{
		scope:     &watchedScope{live: h.server},
		live:      h.server,
		mapper:    mapper,
		objects:   h.caches,
		watch:     func(source.Source) error { h.watched++; return nil },
		changed:   make(chan event.GenericEvent, 1),
		installed: render.Installed{},
	}
	return h
}

// reconcile looks up the definition of HTTPRoutes, and reports whether the fleets are enqueued.
func (h *kindsHarness) reconcile(t *testing.T) (enqueued bool) {
	t.Helper()
	result, err := definitionFollower{h.optionalKinds}.Reconcile(t.Context(),
		reconcile.Request{NamespacedName: client.ObjectKey{Name: httpRoute.Definition}})
	require.NoError(t, err)
	require.Zero(t, result)
	select {
	case <-h.changed:
		return true
	default:
		return false
	}
}

// A kind comes, changes its features and goes, and comes again: the watch starts and stops with it, and fleets are
// enqueued each time, but not when nothing has changed.
func TestOptionalKindsFollowTheDefinition(t *testing.T) {
	h := newKindsHarness(t)
	installed, err := h.Installed(t.Context())
	require.NoError(t, err)
	assert.Empty(t, installed)
	assert.False(t, h.served(httpRoute.Kind))
	assert.True(t, h.served(schema.GroupVersionKind{Version: "v1", Kind: "Service"}))
	assert.False(t, h.reconcile(t))

	require.NoError(t, h.server.Create(t.Context(), routeDefinition()))
	assert.True(t, h.reconcile(t))
	assert.False(t, h.reconcile(t), "nothing has changed")
	assert.True(t, h.served(httpRoute.Kind))
	assert.Equal(t, 1, h.watched)

	require.NoError(t, h.server.Delete(t.Context(), routeDefinition()))
	require.NoError(t, h.server.Create(t.Context(), routeDefinition("cookie")))
	assert.True(t, h.reconcile(t), "the features have changed")
	assert.Equal(t, 1, h.watched)
	installed, err = h.Installed(t.Context())
	require.NoError(t, err)
	assert.Equal(t, render.PersistenceByCookie, installed[httpRoute.Kind].SessionPersistence)

	require.NoError(t, h.server.Delete(t.Context(), routeDefinition()))
	assert.True(t, h.reconcile(t))
	assert.False(t, h.served(httpRoute.Kind))
	assert.Equal(t, 1, h.caches.removed)

	require.NoError(t, h.server.Create(t.Context(), routeDefinition()))
	assert.True(t, h.reconcile(t))
	assert.Equal(t, 2, h.watched)
}

// An error says nothing of the kinds: a fleet must not be rendered without them.
func TestOptionalKindsKeepWhatTheyKnowAfterAnError(t *testing.T) {
	h := newKindsHarness(t)
	require.NoError(t, h.server.Create(t.Context(), routeDefinition()))
	h.failure = errors.New("away")
	_, err := h.Installed(t.Context())
	require.ErrorContains(t, err, "away")
	h.failure = nil
	installed, err := h.Installed(t.Context())
	require.NoError(t, err)
	assert.Contains(t, installed, httpRoute.Kind)

	h.failure = errors.New("away")
	err = h.refresh(t.Context(), httpRoute)
	require.ErrorContains(t, err, "away")
	assert.True(t, h.served(httpRoute.Kind))
}

// Between the acceptance of a definition and its service there is a moment. The operator looks again.
func TestOptionalKindsWaitUntilTheKindIsServed(t *testing.T) {
	h := newKindsHarness(t)
	h.mapper = meta.NewDefaultRESTMapper(nil)
	require.NoError(t, h.server.Create(t.Context(), routeDefinition()))
	result, err := definitionFollower{h.optionalKinds}.Reconcile(t.Context(),
		reconcile.Request{NamespacedName: client.ObjectKey{Name: httpRoute.Definition}})
	require.NoError(t, err)
	assert.Equal(t, servedRecheck, result.RequeueAfter)
	assert.False(t, h.served(httpRoute.Kind))
	assert.Zero(t, h.watched)
}

// Reads of a kind that the operator may not list would wait for ever. It does without the kind.
func TestOptionalKindsDoWithoutWhatTheyMayNotRead(t *testing.T) {
	h := newKindsHarness(t)
	h.listing = apierrors.NewForbidden(schema.GroupResource{}, "", nil)
	require.NoError(t, h.server.Create(t.Context(), routeDefinition()))
	assert.False(t, h.reconcile(t))
	assert.False(t, h.served(httpRoute.Kind))
	assert.Zero(t, h.watched)
}
