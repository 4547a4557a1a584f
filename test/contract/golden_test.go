// Package contract checks that the gateway accepts what the operator gives it. The operator's packages must not
// import the gateway's, so this package reads the operator's golden files with the gateway's own loader.
package contract

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// goldenDir holds a pair of files for each case: NAME.in.yaml is a spec, NAME.out.yaml the objects that the operator
// makes of it.
const goldenDir = "../../controllers/render/testdata"

// golden is one case of the operator's golden files.
type golden struct {
	name string
	// spec has its defaults filled in.
	spec       v1alpha1.WebSocketClusterSpec
	deployment appsv1.Deployment
}

// readGoldens returns every case in goldenDir.
func readGoldens(t *testing.T) []golden {
	t.Helper()
	inputs, err := filepath.Glob(filepath.Join(goldenDir, "*.in.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, inputs)
	cases := make([]golden, 0, len(inputs))
	for _, input := range inputs {
		cases = append(cases, readGolden(t, strings.TrimSuffix(input, ".in.yaml")))
	}
	return cases
}

func readGolden(t *testing.T, path string) golden {
	t.Helper()
	one := golden{name: filepath.Base(path)}
	input, err := os.ReadFile(path + ".in.yaml")
	require.NoError(t, err)
	var cluster v1alpha1.WebSocketCluster
	require.NoError(t, yaml.Unmarshal(input, &cluster))
	cluster.Spec.SetDefaults()
	one.spec = cluster.Spec

	output, err := os.ReadFile(path + ".out.yaml")
	require.NoError(t, err)
	objects := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(output), len(output))
	for {
		var raw runtime.RawExtension
		err := objects.Decode(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		one.add(t, raw.Raw)
	}
	require.NotEmpty(t, one.deployment.Spec.Template.Spec.Containers, "no Deployment of the gateways in %s.out.yaml", path)
	return one
}

// add keeps the object if the gateways start from it. A document may also be a comment: an object that the operator
// does not create.
func (g *golden) add(t *testing.T, object []byte) {
	t.Helper()
	var meta metav1.PartialObjectMetadata
	require.NoError(t, yaml.Unmarshal(object, &meta))
	if meta.Kind == "Deployment" && strings.HasSuffix(meta.Name, "-gateway") {
		require.NoError(t, yaml.UnmarshalStrict(object, &g.deployment))
	}
}
