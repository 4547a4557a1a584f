package simulate

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/util/yaml"
	kyaml "sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/plan"
)

// Size is what the user says of the size of a fleet. nil stands for the default.
type Size struct {
	Replicas       *int32
	Connections    *int64
	MaxConnections *int32
}

const (
	// usualLoad is how full the gateways are whose number follows from the number of connections.
	usualLoad = 0.75
	// defaultLoad is how full they are when the number of connections follows from theirs.
	defaultLoad = 0.5
)

// SetFleet sets the spec to that of the WebSocketCluster in a manifest of YAML or JSON, with its defaults, or to the
// defaults alone when the manifest is empty. Then it sets the size. It returns an *Error when the manifest cannot be
// used.
func (s *Scenario) SetFleet(manifest []byte, size Size) error {
	spec := v1alpha1.WebSocketClusterSpec{}
	if len(manifest) > 0 {
		var err error
		if spec, err = specOf(manifest); err != nil {
			return &Error{Field: "filename", Problem: err.Error()}
		}
	}
	spec.SetDefaults()
	if size.MaxConnections != nil {
		spec.Gateway.MaxConnections = size.MaxConnections
	}
	room := int64(max(1, *spec.Gateway.MaxConnections))
	switch {
	case size.Replicas != nil:
		spec.Replicas = size.Replicas
	case len(manifest) > 0:
		spec.Replicas = new(plan.Replicas(spec, nil))
	case size.Connections != nil:
		most := max(1, int64(float64(room)*usualLoad))
		spec.Replicas = new(int32(min(max(2, (*size.Connections+most-1)/most), maxReplicas)))
	default:
		spec.Replicas = new(int32(DefaultReplicas))
	}
	s.Spec = spec
	s.Connections = int64(float64(int64(*spec.Replicas)*room) * defaultLoad)
	if size.Connections != nil {
		s.Connections = *size.Connections
	}
	return nil
}

// specOf returns the spec of the only WebSocketCluster among the documents of a manifest.
func specOf(manifest []byte) (v1alpha1.WebSocketClusterSpec, error) {
	var found []v1alpha1.WebSocketCluster
	for documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifest))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return v1alpha1.WebSocketClusterSpec{}, fmt.Errorf("it is no YAML: %w", err)
		}
		var kind struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
		}
		if err := kyaml.Unmarshal(document, &kind); err != nil {
			return v1alpha1.WebSocketClusterSpec{}, fmt.Errorf("it is no YAML: %w", err)
		}
		if kind.Kind != "WebSocketCluster" {
			continue
		}
		if want := v1alpha1.GroupVersion.String(); kind.APIVersion != want {
			return v1alpha1.WebSocketClusterSpec{}, fmt.Errorf("its apiVersion is %q: use %s", kind.APIVersion, want)
		}
		var cluster v1alpha1.WebSocketCluster
		if err := kyaml.UnmarshalStrict(document, &cluster); err != nil {
			return v1alpha1.WebSocketClusterSpec{}, fmt.Errorf("the WebSocketCluster cannot be read: %w", err)
		}
		found = append(found, cluster)
	}
	if len(found) != 1 {
		return v1alpha1.WebSocketClusterSpec{}, fmt.Errorf("it has %d WebSocketClusters: give a file with one", len(found))
	}
	return found[0].Spec, nil
}
