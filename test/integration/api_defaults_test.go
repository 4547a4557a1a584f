package integration

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/internal/golden"
)

// The defaults that a user reads back after setting next to nothing.
func TestAPIDefaults(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]string{
		"defaults-empty.yaml": "{}",
		"defaults-parents.yaml": "{redis: {external: {addresses: ['r:6379']}}, autoscaling: {maxReplicas: 5}, ingress: {}, " +
			"gateway: {channels: [{pattern: a}], auth: {apiKeySecretRef: {name: s}}, hooks: {connect: {url: 'http://a'}}}}",
	} {
		t.Run(name, func(t *testing.T) {
			cluster := manifest(t, newNamespace(t), "fleet", spec)
			require.NoError(t, env.client.Create(t.Context(), cluster))
			golden.File(t, filepath.Join("testdata", name), specYAML(t, cluster))
		})
	}
}

// A manifest without any spec is one with an empty spec.
func TestAPIDefaultsWithoutSpec(t *testing.T) {
	t.Parallel()
	cluster := manifest(t, newNamespace(t), "fleet", "")
	delete(cluster.Object, "spec")
	require.NoError(t, env.client.Create(t.Context(), cluster))
	golden.File(t, "testdata/defaults-empty.yaml", specYAML(t, cluster))
}

func specYAML(t *testing.T, cluster *unstructured.Unstructured) string {
	t.Helper()
	data, err := yaml.Marshal(cluster.Object["spec"])
	require.NoError(t, err)
	return string(data)
}
