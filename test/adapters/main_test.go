//go:build e2e

// Package adapters tests on a real cluster that KEDA and prometheus-adapter scale fleets by the samples of
// config/samples/autoscaling. A Prometheus scrapes the fleets as their PodMonitors ask for. hack/adapters.sh prepares
// the cluster and runs the tests.
package adapters

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/test/kubectl"
)

const (
	// namespace is that of the sample's query.
	namespace  = "default"
	monitoring = "monitoring"
	samples    = "../../config/samples/autoscaling"

	// The load needs peak gateways: 150 connections, 60 each.
	loadPods   = 3
	loadEach   = 50
	perGateway = 60
	idle       = 2
	peak       = 3

	tick = 500 * time.Millisecond
)

// kube is kubectl in the fleets' namespace.
var kube = kubectl.Kubectl{Path: os.Getenv("KUBECTL"), Kubeconfig: os.Getenv("KUBECONFIG"), Namespace: namespace}

func TestMain(m *testing.M) {
	if err := setUp(); err != nil {
		fmt.Fprintln(os.Stderr, "adapters: set-up:", err)
		os.Exit(1)
	}
	code := m.Run()
	if code != 0 {
		diagnose()
	}
	os.Exit(code)
}

// setUp lets the operator make PodMonitors.
func setUp() error {
	if os.Getenv("PROMETHEUS_IMAGE") == "" {
		return fmt.Errorf("PROMETHEUS_IMAGE is not set: run `make adapters`")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	definition, err := os.ReadFile("testdata/podmonitors.yaml")
	if err != nil {
		return err
	}
	if _, err := kube.Apply(ctx, string(definition)); err != nil {
		return err
	}
	_, err = kube.Run(ctx, "wait", "--for=condition=Established", "--timeout=30s", "crd/podmonitors.monitoring.coreos.com")
	return err
}

// diagnose prints what `demo diagnose` does not: the programs that a fleet of these tests is scaled by.
func diagnose() {
	all := kube.In("")
	for _, args := range [][]string{
		{"get", "scaledobjects", "-A", "-o", "yaml"},
		{"get", "podmonitors", "-A", "-o", "yaml"},
		{"-n", monitoring, "logs", "deployment/prometheus", "--tail=30"},
		{"-n", monitoring, "logs", "deployment/prometheus-adapter", "--tail=30"},
		{"-n", kedaNamespace, "logs", "deployment/keda-operator", "--tail=60"},
		{"-n", kedaNamespace, "logs", "deployment/keda-metrics-apiserver", "--tail=30"},
	} {
		fmt.Printf("\n--- kubectl %s\n", strings.Join(args, " "))
		out, err := all.Run(context.Background(), args...)
		fmt.Print(out)
		if err != nil {
			fmt.Println(err)
		}
	}
}

func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := kube.Run(t.Context(), args...)
	require.NoError(t, err)
	return strings.TrimSpace(out)
}

// apply applies a manifest.
func apply(t *testing.T, manifest string) {
	t.Helper()
	_, err := kube.In("").Apply(t.Context(), manifest)
	require.NoError(t, err)
}

// applyFile applies a file of testdata with its variables replaced.
func applyFile(t *testing.T, name string, variables map[string]string) {
	t.Helper()
	apply(t, expanded(t, name, variables))
}

// expanded returns a file of testdata with its variables replaced.
func expanded(t *testing.T, name string, variables map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return os.Expand(string(text), func(variable string) string {
		value, known := variables[variable]
		require.True(t, known, "testdata/%s has ${%s}", name, variable)
		return value
	})
}

// createFleet creates a fleet with more fields in its spec, and waits until it serves. It is deleted after the test.
func createFleet(t *testing.T, name, spec string) {
	t.Helper()
	apply(t, fmt.Sprintf(`
apiVersion: wsfleet.dev/v1alpha1
kind: WebSocketCluster
metadata: {name: %s, namespace: %s}
spec:
  redis: {managed: {}}
  drain: {timeout: 10s, propagationDelay: 2s}
  rollout: {minReadySeconds: 2}
%s`, name, namespace, spec))
	t.Cleanup(func() { remove(t, "wsc/"+name) })
	awaitSize(t, name, idle, 3*time.Minute)
}

// connect opens the connections of the load to a fleet, and waits until Prometheus has counted them. They end with the
// result, or after the test.
func connect(t *testing.T, fleet string) (disconnect func()) {
	t.Helper()
	apply(t, fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: load, namespace: %s}
spec:
  replicas: %d
  selector: {matchLabels: {adapters: load}}
  template:
    metadata: {labels: {adapters: load}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 2
      containers:
      - name: client
        image: %s
        args: ["-address=%s-gateway:80", "-connections=%d"]
`, namespace, loadPods, os.Getenv("CLIENT_IMAGE"), fleet, loadEach))
	t.Cleanup(func() { remove(t, "deployment/load") })
	connections := `sum(websocket_connections{fleet="` + fleet + `"})`
	await(t, 2*time.Minute, func(t *assert.CollectT) {
		assert.Equal(t, []string{strconv.Itoa(loadPods * loadEach)}, query(t, connections))
	})
	return func() { remove(t, "deployment/load") }
}

// remove deletes an object and waits until it has gone.
func remove(t *testing.T, object string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	_, err := kube.Run(ctx, "delete", object, "--ignore-not-found", "--timeout=120s")
	assert.NoError(t, err)
}

// await waits until a check holds.
func await(t *testing.T, within time.Duration, check func(t *assert.CollectT)) {
	t.Helper()
	require.EventuallyWithT(t, check, within, tick)
}

// awaitSize waits until a fleet is to have a number of gateways, and so many serve.
func awaitSize(t *testing.T, fleet string, want int, within time.Duration) {
	t.Helper()
	began := time.Now()
	await(t, within, func(t *assert.CollectT) {
		assert.Equal(t, fmt.Sprintf("%d, %d/%d", want, want, want),
			field(t, "wsc/"+fleet, "{.spec.replicas}, {.status.ready}"))
	})
	t.Logf("%s has %d gateways after %s", fleet, want, time.Since(began).Round(time.Second))
}

// awaitCondition waits for a condition's status, reason and words of its message. An empty reason is any.
func awaitCondition(t *testing.T, object, kind, status, reason, words string, within time.Duration) {
	t.Helper()
	began := time.Now()
	var got string
	at := `{.status.conditions[?(@.type=="` + kind + `")]`
	await(t, within, func(t *assert.CollectT) {
		got = field(t, object, at+".status} "+at+".reason} "+at+".message}")
		assert.True(t, strings.HasPrefix(got, strings.TrimSpace(status+" "+reason)), got)
		assert.Contains(t, got, words)
	})
	t.Logf("%s: %s is %s, after %s", object, kind, got, time.Since(began).Round(time.Second))
}

// field returns what a JSONPath template makes of an object.
func field(t *assert.CollectT, object, template string) string {
	// The test's context has no way through CollectT; kubectl ends by itself.
	out, err := kube.Run(context.Background(), "get", object, "--request-timeout=10s", "-o", "jsonpath="+template)
	if !assert.NoError(t, err) {
		return ""
	}
	return strings.TrimSpace(out)
}
