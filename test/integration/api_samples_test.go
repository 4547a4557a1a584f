package integration

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Users copy the samples.
func TestAPIAcceptsSamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../config/samples/wsfleet_*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	namespace := newNamespace(t)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			objects := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
			for {
				object := &unstructured.Unstructured{}
				err := objects.Decode(object)
				if errors.Is(err, io.EOF) {
					return
				}
				require.NoError(t, err)
				object.SetNamespace(namespace)
				require.NoError(t, env.client.Create(t.Context(), object, client.DryRunAll), object.GetName())
			}
		})
	}
}
