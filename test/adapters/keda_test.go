//go:build e2e

package adapters

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	kedaNamespace = "keda"
	// The names in the sample, and that of the autoscaler which KEDA makes for it.
	kedaFleet    = "chat"
	scaledObject = "scaledobject/chat"
	kedaScaler   = "hpa/keda-hpa-chat"
)

// KEDA scales a fleet without spec.autoscaling by the shipped ScaledObject, of which the test changes the threshold and
// the window.
func TestKEDAScalesAFleet(t *testing.T) {
	installKEDA(t)
	createFleet(t, kedaFleet, "")
	scrape(t, kedaFleet)
	sample := changed(t, "keda-scaledobject.yaml", map[string]string{
		`threshold: "7500"`:               `threshold: "60"`,
		"stabilizationWindowSeconds: 600": "stabilizationWindowSeconds: 0",
	})
	_, err := kube.Apply(t.Context(), sample)
	require.NoError(t, err)
	t.Cleanup(func() { remove(t, scaledObject) })
	awaitCondition(t, scaledObject, "Ready", "True", "", "", time.Minute)
	awaitCondition(t, kedaScaler, "ScalingActive", "True", "ValidMetricFound", "", 2*time.Minute)

	t.Run("it is named and tolerated", func(t *testing.T) {
		awaitCondition(t, "wsc/chat", "MetricsAvailable", "True", "NotNeeded",
			"the HorizontalPodAutoscaler keda-hpa-chat scales the WebSocketCluster", time.Minute)
		awaitCondition(t, "wsc/chat", "SpecAccepted", "True", "Accepted", "", time.Minute)
	})
	t.Run("the fleet follows its connections", func(t *testing.T) {
		disconnect := connect(t, kedaFleet)
		awaitSize(t, kedaFleet, peak, 2*time.Minute)
		disconnect()
		awaitSize(t, kedaFleet, idle, 3*time.Minute)
	})
	// KEDA would raise spec.replicas again if it looked while Prometheus still had numbers of the gateways.
	t.Run("a fleet that is stopped while the ScaledObject is paused stays stopped", func(t *testing.T) {
		run(t, "annotate", scaledObject, "autoscaling.keda.sh/paused=true")
		run(t, "wait", "--for=delete", kedaScaler, "--timeout=60s")
		run(t, "scale", "wsc", kedaFleet, "--replicas=0")
		run(t, "wait", "--for=jsonpath={.status.ready}=0/0", "wsc/"+kedaFleet, "--timeout=60s")
		await(t, time.Minute, func(c *assert.CollectT) { assert.Empty(c, query(c, "websocket_connections")) })
		run(t, "annotate", scaledObject, "autoscaling.keda.sh/paused-")
		awaitCondition(t, scaledObject, "Ready", "False", "TriggerError", "", 2*time.Minute)
		awaitCondition(t, kedaScaler, "ScalingActive", "False", "ScalingDisabled", "", time.Minute)
		assert.Equal(t, "0", run(t, "get", "wsc", kedaFleet, "-o", "jsonpath={.spec.replicas}"))
		run(t, "scale", "wsc", kedaFleet, "--replicas=2")
		awaitSize(t, kedaFleet, idle, 2*time.Minute)
	})
	t.Run("a Prometheus without the fleet does not shrink it", func(t *testing.T) {
		connect(t, kedaFleet)
		awaitSize(t, kedaFleet, peak, 2*time.Minute)
		scrape(t, "")
		awaitCondition(t, kedaScaler, "ScalingActive", "False", "FailedGetExternalMetric", "", 2*time.Minute)
		awaitCondition(t, "wsc/chat", "MetricsAvailable", "True", "NotNeeded",
			"keda-hpa-chat scales the WebSocketCluster, and says FailedGetExternalMetric", time.Minute)
		assert.Equal(t, "3", run(t, "get", "wsc", kedaFleet, "-o", "jsonpath={.spec.replicas}"))
	})
}

// installKEDA installs KEDA's own manifests without its webhooks, which are a third program.
func installKEDA(t *testing.T) {
	t.Helper()
	overlay := os.Getenv("KEDA_OVERLAY")
	operatorName, operatorTag := image(t, "KEDA_IMAGE")
	adapterName, adapterTag := image(t, "KEDA_ADAPTER_IMAGE")
	kustomization := expanded(t, "keda.yaml", map[string]string{
		"KEDA_NAME": operatorName, "KEDA_TAG": operatorTag, "ADAPTER_NAME": adapterName, "ADAPTER_TAG": adapterTag,
	})
	require.NoError(t, os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(kustomization), 0o600))
	all := kube.In("")
	_, err := all.Run(t.Context(), "apply", "--server-side", "-k", overlay)
	require.NoError(t, err)
	for _, deployment := range []string{"keda-operator", "keda-metrics-apiserver"} {
		_, err := kube.In(kedaNamespace).Run(t.Context(), "rollout", "status", "deployment/"+deployment, "--timeout=240s")
		require.NoError(t, err)
	}
	_, err = all.Run(t.Context(), "wait", "--for=condition=Available", "--timeout=60s",
		"apiservice/v1beta1.external.metrics.k8s.io")
	require.NoError(t, err)
}

// image returns name and tag of the image that an environment variable names.
func image(t *testing.T, variable string) (name, tag string) {
	t.Helper()
	name, tag, ok := strings.Cut(os.Getenv(variable), ":")
	require.True(t, ok, "%s is %q: run `make adapters`", variable, os.Getenv(variable))
	return name, tag
}

// changed returns a sample with some texts in place of others, each of which the sample has once.
func changed(t *testing.T, name string, replaced map[string]string) string {
	t.Helper()
	sample, err := os.ReadFile(filepath.Join(samples, name))
	require.NoError(t, err)
	text := string(sample)
	for old, now := range replaced {
		require.Equal(t, 1, strings.Count(text, old), old)
		text = strings.Replace(text, old, now, 1)
	}
	return text
}
