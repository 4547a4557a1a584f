package render

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// The API lets a user choose a profile only if it is in the field's enum, and without a golden file nothing shows what
// it does.
func TestIngressProfilesAreInSchemaAndGoldenFiles(t *testing.T) {
	names := []string{string(v1alpha1.IngressProfileAuto), string(v1alpha1.IngressProfileNone)}
	for _, profile := range ingressProfiles() {
		names = append(names, string(profile.name))
	}
	assert.ElementsMatch(t, schemaProfiles(t), names, "the enum of IngressProfile and ingressProfiles() differ")

	for _, name := range names[1:] {
		file := "testdata/ingress-" + name + ".in.yaml"
		raw, err := os.ReadFile(file)
		require.NoError(t, err, "every ingress profile has a golden file")
		var in golden
		require.NoError(t, yaml.UnmarshalStrict(raw, &in))
		assert.Equal(t, name, string(in.Profile), file)
	}
}

// schemaProfiles returns the values that the CRD allows for spec.ingress.profile.
func schemaProfiles(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile("../../config/crd/bases/wsfleet.dev_websocketclusters.yaml")
	require.NoError(t, err)
	var crd apiextensionsv1.CustomResourceDefinition
	require.NoError(t, yaml.Unmarshal(raw, &crd))
	field := *crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	for _, name := range []string{"spec", "ingress", "profile"} {
		field = field.Properties[name]
	}
	values := make([]string, 0, len(field.Enum))
	for _, value := range field.Enum {
		values = append(values, strings.Trim(string(value.Raw), `"`))
	}
	return values
}

func TestProfileForController(t *testing.T) {
	assert.Equal(t, v1alpha1.IngressProfileNginx, ProfileForController("k8s.io/ingress-nginx"))
	assert.Equal(t, v1alpha1.IngressProfileNone, ProfileForController("example.com/c"))
	assert.Equal(t, v1alpha1.IngressProfileNone, ProfileForController(""))
}
