package controllers

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/wsfleet/wsfleet/controllers/metricsapi"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// fakeDiscovery is an API server with nothing but discovery and published schemas.
type fakeDiscovery struct {
	// mu guards the fields below.
	mu sync.Mutex
	// answers has the body of each path. A path without one is not found.
	answers map[string]string
	// status is the status of each answer with a body, 200 if it is 0.
	status int
	asked  map[string]int
}

func (f *fakeDiscovery) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[r.URL.Path]++
	body, found := f.answers[r.URL.Path]
	w.Header().Set("Content-Type", "application/json")
	switch {
	case !found:
		w.WriteHeader(http.StatusNotFound)
	case f.status != 0:
		w.WriteHeader(f.status)
	}
	_, _ = w.Write([]byte(body))
}

func (f *fakeDiscovery) set(path, body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[path] = body
}

func (f *fakeDiscovery) fail(status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status = status
}

// newDiscovered returns a scope that asks a fake API server.
func newDiscovered(t *testing.T) (*discoveredScope, *fakeDiscovery) {
	t.Helper()
	fake := &fakeDiscovery{answers: map[string]string{}, asked: map[string]int{}}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	asking, err := discovery.NewDiscoveryClientForConfig(&rest.Config{Host: server.URL})
	require.NoError(t, err)
	return newDiscoveredScope(asking, time.Hour), fake
}

const (
	ownMetrics = `{"resources": [{"name": "websocketclusters.wsfleet.dev/websocket_connections_max_ratio"}]}`
	pathOwn    = "/apis/custom.metrics.k8s.io/v1beta2"
)

// The owner of the custom metrics API shows in its resources. A server that does not answer for now is still the one
// that it was.
func TestDiscoveredScopeFindsTheMetricsOwner(t *testing.T) {
	d, server := newDiscovered(t)
	owner, err := d.metricsOwner(t.Context())
	require.NoError(t, err)
	assert.Equal(t, metricsapi.OwnerNone, owner.Kind)

	server.set(pathOwn, ownMetrics)
	changed, err := d.refreshOwner(t.Context())
	require.NoError(t, err)
	assert.True(t, changed)
	owner, err = d.metricsOwner(t.Context())
	require.NoError(t, err)
	assert.Equal(t, metricsapi.OwnerBuiltIn, owner.Kind)

	server.fail(http.StatusServiceUnavailable)
	changed, err = d.refreshOwner(t.Context())
	require.NoError(t, err)
	assert.False(t, changed)

	server.fail(0)
	server.set("/apis/custom.metrics.k8s.io/v1beta1", `{"resources": []}`)
	changed, err = d.refreshOwner(t.Context())
	require.NoError(t, err)
	assert.True(t, changed)
	owner, err = d.metricsOwner(t.Context())
	require.NoError(t, err)
	assert.Equal(t, metricsapi.OwnerForeign, owner.Kind)
}

// To an operator that has just started, a server that does not answer is an unknown one, and no server is none.
func TestDiscoveredScopeDoesNotGuessTheMetricsOwner(t *testing.T) {
	d, server := newDiscovered(t)
	server.set(pathOwn, ownMetrics)
	server.fail(http.StatusServiceUnavailable)
	owner, err := d.metricsOwner(t.Context())
	require.NoError(t, err)
	assert.Equal(t, metricsapi.OwnerUnknown, owner.Kind)

	away, err := discovery.NewDiscoveryClientForConfig(&rest.Config{Host: "http://127.0.0.1:1"})
	require.NoError(t, err)
	_, err = newDiscoveredScope(away, time.Hour).metricsOwner(t.Context())
	require.ErrorContains(t, err, "custom.metrics.k8s.io")
}

// publish makes the fake API server serve HTTPRoutes whose session persistence has the fields, as version of the
// schema.
func (f *fakeDiscovery) publish(t *testing.T, version, verbs string, fields ...string) {
	t.Helper()
	raw, err := json.Marshal(routeDefinition(fields...).Spec.Versions[1].Schema.OpenAPIV3Schema)
	require.NoError(t, err)
	properties := map[string]any{}
	require.NoError(t, json.Unmarshal(raw, &properties))
	properties["x-kubernetes-group-version-kind"] = []map[string]string{
		{"group": httpRoute.Kind.Group, "version": httpRoute.Kind.Version, "kind": httpRoute.Kind.Kind},
	}
	schemas := map[string]any{"components": map[string]any{
		"schemas": map[string]any{"other": map[string]any{}, "route": properties},
	}}
	raw, err = json.Marshal(schemas)
	require.NoError(t, err)
	const path = "gateway.networking.k8s.io/v1"
	f.set("/apis/"+path, `{"resources": [{"name": "httproutes", "kind": "HTTPRoute", "verbs": [`+verbs+`]}]}`)
	f.set("/openapi/v3",
		`{"paths": {"apis/`+path+`": {"serverRelativeURL": "/openapi/v3/apis/`+path+`?hash=`+version+`"}}}`)
	f.set("/openapi/v3/apis/"+path, string(raw))
}

// What a kind can express is in its published schema, which is read again only when it has changed.
func TestDiscoveredScopeReadsPublishedSchemas(t *testing.T) {
	d, server := newDiscovered(t)
	check := func(served bool, shape render.PersistenceShape) {
		t.Helper()
		features, is, err := d.features(t.Context(), httpRoute)
		require.NoError(t, err)
		assert.Equal(t, served, is)
		assert.Equal(t, shape, features.SessionPersistence)
	}
	check(false, "")
	server.publish(t, "1", `"create"`, "sessionName")
	check(true, render.PersistenceBySessionName)
	check(true, render.PersistenceBySessionName)
	assert.Equal(t, 1, server.asked["/openapi/v3/apis/gateway.networking.k8s.io/v1"])
	server.publish(t, "2", `"create"`, "cookie")
	check(true, render.PersistenceByCookie)
	server.publish(t, "2", `"delete"`, "cookie")
	check(false, "")
	server.publish(t, "2", `"create"`, "cookie")
	server.set("/openapi/v3", `{"paths": {}}`)
	check(false, "")

	monitor := render.OptionalKinds()[2]
	server.set("/apis/monitoring.coreos.com/v1",
		`{"resources": [{"name": "podmonitors", "kind": "PodMonitor", "verbs": ["create"]}]}`)
	_, is, err := d.features(t.Context(), monitor)
	require.NoError(t, err)
	assert.True(t, is, "nothing depends on its schema")

	server.fail(http.StatusForbidden)
	_, is, err = d.features(t.Context(), monitor)
	require.NoError(t, err)
	assert.False(t, is)
	server.fail(http.StatusInternalServerError)
	_, _, err = d.features(t.Context(), monitor)
	require.Error(t, err)
}
