package integration

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// foreignTypes returns the fields whose schema is that of a Kubernetes type. Kubernetes tests its limits. The rules
// below them are this API's own.
func foreignTypes() []string {
	return []string{
		"spec.pod.affinity",
		"spec.pod.env[]",
		"spec.pod.tolerations[]",
		"spec.pod.topologySpreadConstraints[]",
		"spec.redis.managed.storage.size",
		"spec.redis.managed.placement.affinity",
		"spec.redis.managed.placement.tolerations[]",
		"spec.autoscaling.behavior",
		"spec.networkPolicy.from[].podSelector",
		"spec.networkPolicy.from[].namespaceSelector",
		"spec.networkPolicy.metricsFrom[].podSelector",
		"spec.networkPolicy.metricsFrom[].namespaceSelector",
	}
}

// readSchema returns the CRD's schema as it is in the repository.
func readSchema(t *testing.T) *apiextensionsv1.JSONSchemaProps {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(crdDirectory, "wsfleet.dev_websocketclusters.yaml"))
	require.NoError(t, err)
	var crd apiextensionsv1.CustomResourceDefinition
	require.NoError(t, yaml.UnmarshalStrict(data, &crd))
	require.Len(t, crd.Spec.Versions, 1)
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// walkSchema calls visit for the spec and each schema below it, by path. foreign reports whether the schema is not this
// API's own.
func walkSchema(schema *apiextensionsv1.JSONSchemaProps,
	visit func(path string, foreign bool, schema *apiextensionsv1.JSONSchemaProps)) {
	var walk func(path string, foreign bool, schema *apiextensionsv1.JSONSchemaProps)
	walk = func(path string, foreign bool, schema *apiextensionsv1.JSONSchemaProps) {
		foreign = foreign || slices.Contains(foreignTypes(), path)
		visit(path, foreign, schema)
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
			property := schema.Properties[name]
			switch {
			case path != "":
				walk(path+"."+name, foreign, &property)
			case name == "spec":
				walk(name, foreign, &property)
			}
		}
		if schema.Items != nil && schema.Items.Schema != nil {
			walk(path+"[]", foreign, schema.Items.Schema)
		}
		if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
			walk(path+"[]", true, schema.AdditionalProperties.Schema)
		}
	}
	walk("", false, schema)
}
