package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// What a user reads back who wrote next to nothing.
func TestDefaults(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]string{
		"defaults-empty.yaml":   "{}",
		"defaults-parents.yaml": "{redis: {external: {addresses: ['r:6379']}}, autoscaling: {maxReplicas: 5}, ingress: {}, gateway: {channels: [{pattern: a}], auth: {apiKeySecretRef: {name: s}}, hooks: {connect: {url: 'http://a'}}}}",
	} {
		t.Run(name, func(t *testing.T) {
			cluster := manifest(t, newNamespace(t), "fleet", spec)
			require.NoError(t, env.client.Create(t.Context(), cluster))
			requireGolden(t, name, specYAML(t, cluster))
		})
	}
}

// A manifest without any spec is one with an empty spec.
func TestDefaultsWithoutSpec(t *testing.T) {
	t.Parallel()
	cluster := manifest(t, newNamespace(t), "fleet", "")
	delete(cluster.Object, "spec")
	require.NoError(t, env.client.Create(t.Context(), cluster))
	requireGolden(t, "defaults-empty.yaml", specYAML(t, cluster))
}

func specYAML(t *testing.T, cluster *unstructured.Unstructured) []byte {
	t.Helper()
	data, err := yaml.Marshal(cluster.Object["spec"])
	require.NoError(t, err)
	return data
}
