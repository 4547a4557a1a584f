package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// manifest returns a WebSocketCluster as a user writes it: from the YAML of a spec, without the zero values that Go
// types would add.
func manifest(t *testing.T, namespace, name, spec string) *unstructured.Unstructured {
	t.Helper()
	var body map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(spec), &body))
	if body == nil {
		body = map[string]any{}
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": body}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.KindWebSocketCluster))
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}
