package controllers

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const clustersPath = "/apis/wsfleet.dev/v1alpha1/namespaces/team/websocketclusters"

// encodedCluster returns a stored cluster. replicas is what its field of that name has.
func encodedCluster(name, version, replicas string) string {
	return `{"apiVersion":"wsfleet.dev/v1alpha1","kind":"WebSocketCluster","metadata":{"namespace":"team",` +
		`"name":"` + name +
		`","resourceVersion":"` + version + `","managedFields":[]},"spec":{"replicas":` + replicas + `}}`
}

// filtered is a filter before a server that gives one answer.
type filtered struct {
	*DecodeFilter
	registry *prometheus.Registry
	log      *bytes.Buffer
}

func newFiltered(t *testing.T) filtered {
	t.Helper()
	f := filtered{registry: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	var err error
	f.DecodeFilter, err = NewDecodeFilter(f.registry, funcr.New(func(_, args string) {
		f.log.WriteString(args + "\n")
	}, funcr.Options{}))
	require.NoError(t, err)
	return f
}

// get returns what is left of the answer.
func (f filtered) get(t *testing.T, path, accept, answer string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, http.NoBody)
	require.NoError(t, err)
	request.Header.Set("Accept", accept)
	response, err := f.Wrap(http.DefaultTransport).RoundTrip(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

func TestDecodeFilterShortensLists(t *testing.T) {
	f := newFiltered(t)
	list := func(items ...string) string {
		return `{"apiVersion":"wsfleet.dev/v1alpha1","kind":"WebSocketClusterList","metadata":{"resourceVersion":"9",` +
			`"continue":"more"},"items":[` + strings.Join(items, ",") + `]}`
	}
	good, bad := encodedCluster("good", "1", "2"), encodedCluster("bad", "2", `"many"`)
	assert.JSONEq(t, list(good), f.get(t, clustersPath, "application/json", list(good, bad)))
	assert.Equal(t, list(good), f.get(t, clustersPath, "application/json", list(good)), "nothing to filter")
	metadataOnly := "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
	assert.Equal(t, list(bad), f.get(t, clustersPath, metadataOnly, list(bad)), "metadata always decodes")
	assert.Equal(t, "x", f.get(t, "/api/v1/namespaces/team/pods", "application/json", "x"), "another kind")

	f.get(t, clustersPath, "application/json", list(bad))
	assert.Equal(t, 1, strings.Count(f.log.String(), "cannot be decoded"), "each version of an object is told once")
	assert.Contains(t, f.log.String(), `"name"="bad"`)
	assert.InDelta(t, 1, samples(t, f.registry)["undecodable_cluster(bad,team)"], 0)
}

func TestDecodeFilterDropsEvents(t *testing.T) {
	f := newFiltered(t)
	event := func(kind, object string) string { return `{"type":"` + kind + `","object":` + object + `}` + "\n" }
	good, bad := encodedCluster("good", "1", "2"), encodedCluster("bad", "2", `"many"`)
	bookmark := event("BOOKMARK", `{"kind":"WebSocketCluster","metadata":{"resourceVersion":"8"}}`)
	left := f.get(t, clustersPath+"?watch=true", "application/json",
		event("ADDED", good)+event("ADDED", bad)+bookmark+event("MODIFIED", bad)+event("DELETED", good))
	assert.Equal(t, event("ADDED", good)+bookmark+event("DELETED", good), left)
	assert.InDelta(t, 1, samples(t, f.registry)["undecodable_cluster(bad,team)"], 0)

	// The cache may have an earlier version of the object, so its deletion must arrive.
	left = f.get(t, clustersPath+"?watch=true", "application/json", event("DELETED", bad))
	var deleted struct {
		Type   string
		Object struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
			Spec     *struct{}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(left), &deleted))
	assert.Equal(t, "DELETED bad team WebSocketCluster", strings.Join([]string{deleted.Type, deleted.Object.Metadata.Name,
		deleted.Object.Metadata.Namespace, deleted.Object.Kind}, " "))
	assert.Nil(t, deleted.Object.Spec)
	assert.NotContains(t, samples(t, f.registry), "undecodable_cluster(bad,team)")
}

// A corrected object is taken again.
func TestDecodeFilterForgetsCorrectedObjects(t *testing.T) {
	f := newFiltered(t)
	assert.False(t, f.decodes([]byte(encodedCluster("bad", "2", `"many"`))))
	assert.True(t, f.decodes([]byte(encodedCluster("bad", "3", "2"))))
	assert.NotContains(t, samples(t, f.registry), "undecodable_cluster(bad,team)")
}
