package contract

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

const autoscalingSamples = "../../config/samples/autoscaling/"

// adapterResource is a Kubernetes resource that a label of a series names.
type adapterResource struct {
	Group    string `json:"group,omitempty"`
	Resource string `json:"resource"`
}

// adapterRule is a rule of prometheus-adapter, with the fields that the samples use.
type adapterRule struct {
	SeriesQuery string `json:"seriesQuery"`
	Resources   struct {
		Overrides map[string]adapterResource `json:"overrides"`
	} `json:"resources"`
	Name struct {
		As string `json:"as"`
	} `json:"name"`
	MetricsQuery string `json:"metricsQuery"`
}

// The rules name the gateways' metric, and the resources that the autoscaler's two kinds of metrics describe.
func TestSampleOfPrometheusAdapter(t *testing.T) {
	var values struct {
		Rules struct {
			Custom []adapterRule `json:"custom"`
		} `json:"rules"`
	}
	readSample(t, "prometheus-adapter.yaml", &values)
	require.Len(t, values.Rules.Custom, 2)
	for i, described := range []adapterResource{
		{Group: v1alpha1.GroupName, Resource: "websocketcluster"},
		{Resource: "pod"},
	} {
		rule := values.Rules.Custom[i]
		assert.Contains(t, rule.SeriesQuery, contract.MetricConnections+"{")
		assert.Equal(t, v1alpha1.DefaultExistingMetric, rule.Name.As)
		assert.Contains(t, rule.MetricsQuery, "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)")
		assert.Equal(t, adapterResource{Resource: "namespace"}, rule.Resources.Overrides["namespace"])
		var resources []adapterResource
		for label, resource := range rule.Resources.Overrides {
			assert.Contains(t, rule.SeriesQuery, label+`!=""`)
			resources = append(resources, resource)
		}
		assert.Contains(t, resources, described)
	}
}

// The ScaledObject scales the WebSocketCluster, and never to 0.
func TestSampleOfKEDA(t *testing.T) {
	var scaled struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Spec struct {
			ScaleTargetRef struct {
				APIVersion string `json:"apiVersion"`
				Kind       string `json:"kind"`
				Name       string `json:"name"`
			} `json:"scaleTargetRef"`
			MinReplicaCount int32 `json:"minReplicaCount"`
			MaxReplicaCount int32 `json:"maxReplicaCount"`
			Triggers        []struct {
				Type       string            `json:"type"`
				MetricType string            `json:"metricType"`
				Metadata   map[string]string `json:"metadata"`
			} `json:"triggers"`
			Advanced struct {
				HorizontalPodAutoscalerConfig struct {
					Behavior autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior"`
				} `json:"horizontalPodAutoscalerConfig"`
			} `json:"advanced"`
		} `json:"spec"`
	}
	readSample(t, "keda-scaledobject.yaml", &scaled)
	assert.Equal(t, "keda.sh/v1alpha1 ScaledObject", scaled.APIVersion+" "+scaled.Kind)
	target := scaled.Spec.ScaleTargetRef
	assert.Equal(t, v1alpha1.GroupVersion.String(), target.APIVersion)
	assert.Equal(t, v1alpha1.KindWebSocketCluster, target.Kind)
	assert.Positive(t, scaled.Spec.MinReplicaCount)
	assert.Greater(t, scaled.Spec.MaxReplicaCount, scaled.Spec.MinReplicaCount)
	require.Len(t, scaled.Spec.Triggers, 1)
	trigger := scaled.Spec.Triggers[0]
	assert.Equal(t, "prometheus AverageValue", trigger.Type+" "+trigger.MetricType)
	assert.Contains(t, trigger.Metadata["query"], "sum("+contract.MetricConnections+"{")
	assert.Contains(t, trigger.Metadata["query"], `fleet="`+target.Name+`"`)
	assert.Equal(t, "false", trigger.Metadata["ignoreNullValues"], "no answer is not 0 connections")
	assert.Equal(t, defaultBehavior(t), scaled.Spec.Advanced.HorizontalPodAutoscalerConfig.Behavior)
}

// defaultBehavior returns the behavior of a fleet's own autoscaler, without the tolerances: KEDA would write them again
// and again where Kubernetes does not know them.
func defaultBehavior(t *testing.T) autoscalingv2.HorizontalPodAutoscalerBehavior {
	t.Helper()
	raw, err := os.ReadFile("../../controllers/render/testdata/autoscaled.out.yaml")
	require.NoError(t, err)
	for _, document := range strings.Split(string(raw), "\n---\n") {
		var scaler autoscalingv2.HorizontalPodAutoscaler
		require.NoError(t, yaml.Unmarshal([]byte(document), &scaler))
		if scaler.Kind == "HorizontalPodAutoscaler" {
			scaler.Spec.Behavior.ScaleUp.Tolerance, scaler.Spec.Behavior.ScaleDown.Tolerance = nil, nil
			return *scaler.Spec.Behavior
		}
	}
	require.Fail(t, "no HorizontalPodAutoscaler")
	return autoscalingv2.HorizontalPodAutoscalerBehavior{}
}

func readSample(t *testing.T, name string, into any) {
	t.Helper()
	raw, err := os.ReadFile(autoscalingSamples + name)
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(raw, into))
}
