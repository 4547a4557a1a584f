//go:build e2e

package adapters

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const (
	adaptedFleet  = "adapted"
	adaptedScaler = "hpa/adapted-gateway"
	builtInAPI    = "apiservice/v1beta2.custom.metrics.k8s.io"
	adapterAPI    = "apiservice/v1beta1.custom.metrics.k8s.io"
)

// The autoscaler of a spec reads both types of metrics from prometheus-adapter with the shipped rules. wsfleet's
// metrics API makes room for it, and is back when it has gone.
func TestPrometheusAdapterServesTheAutoscaler(t *testing.T) {
	run(t, "wait", "--for=condition=Available", "--timeout=60s", builtInAPI)
	createFleet(t, adaptedFleet, fmt.Sprintf(`
  autoscaling:
    metrics: Existing
    existingMetric: {type: Object}
    minReplicas: %d
    maxReplicas: 5
    targetConnectionsPerPod: %d
    behavior: {scaleDown: {stabilizationWindowSeconds: 0}}
`, idle, perGateway))
	scrape(t, adaptedFleet)
	t.Cleanup(func() {
		remove(t, adapterAPI)
		ctx := context.WithoutCancel(t.Context())
		_, err := kube.In(monitoring).Run(ctx, "delete", "deployment/prometheus-adapter", "--ignore-not-found")
		assert.NoError(t, err)
		_, err = kube.Run(ctx, "wait", "--for=create", "--timeout=60s", builtInAPI)
		assert.NoError(t, err, "the metrics API has not come back")
	})
	applyFile(t, "prometheus-adapter.yaml", map[string]string{
		"IMAGE": os.Getenv("PROMETHEUS_ADAPTER_IMAGE"), "CONFIG": strconv.Quote(adapterConfig(t)),
	})
	run(t, "wait", "--for=delete", "--timeout=60s", builtInAPI)
	run(t, "wait", "--for=condition=Available", "--timeout=120s", adapterAPI)

	for _, kind := range []string{"Object", "Pods"} {
		t.Run(kind, func(t *testing.T) {
			run(t, "patch", "wsc", adaptedFleet, "--type=merge", "-p",
				`{"spec":{"autoscaling":{"existingMetric":{"type":"`+kind+`"}}}}`)
			run(t, "wait", "--for=jsonpath={.spec.metrics[0].type}="+kind, "--timeout=30s", adaptedScaler)
			awaitCondition(t, adaptedScaler, "ScalingActive", "True", "ValidMetricFound", "", 2*time.Minute)
			awaitCondition(t, "wsc/"+adaptedFleet, "MetricsAvailable", "True", "MetricsServed",
				"monitoring/prometheus-adapter", time.Minute)
			disconnect := connect(t, adaptedFleet)
			awaitSize(t, adaptedFleet, peak, 2*time.Minute)
			disconnect()
			awaitSize(t, adaptedFleet, idle, 3*time.Minute)
		})
	}
	t.Run("a metric without a rule", func(t *testing.T) {
		run(t, "patch", "wsc", adaptedFleet, "--type=merge", "-p",
			`{"spec":{"autoscaling":{"existingMetric":{"name":"not_there"}}}}`)
		awaitCondition(t, "wsc/"+adaptedFleet, "MetricsAvailable", "False", "MetricUnreadable",
			"give it a rule for the Pods metric not_there", 3*time.Minute)
	})
}

// adapterConfig returns the configuration that prometheus-adapter's chart makes of the sample, which are values of the
// chart, without the chart's own rules.
func adapterConfig(t *testing.T) string {
	t.Helper()
	sample, err := os.ReadFile(filepath.Join(samples, "prometheus-adapter.yaml"))
	require.NoError(t, err)
	var values struct {
		Rules struct {
			Custom []any `json:"custom"`
		} `json:"rules"`
	}
	require.NoError(t, yaml.UnmarshalStrict(sample, &values))
	config, err := yaml.Marshal(object{"rules": values.Rules.Custom})
	require.NoError(t, err)
	return string(config)
}
