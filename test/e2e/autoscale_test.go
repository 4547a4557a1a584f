//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	scaledName    = "scaled"
	scaledService = scaledName + "-gateway"
	scaledPods    = "wsfleet.dev/cluster=" + scaledName + ",app.kubernetes.io/component=gateway"

	// The load needs scaledPeak gateways: 3,000 connections, 600 each.
	loadPods       = 12
	loadEach       = 250
	perGateway     = 600
	scaledIdle     = 2
	scaledPeak     = loadPods * loadEach / perGateway
	connectionsAPI = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/" + namespace +
		"/websocketclusters.wsfleet.dev/" + scaledName + "/websocket_connections"
)

// scaledManifest is a fleet whose autoscaler shrinks it within a minute instead of within hours.
var scaledManifest = `
apiVersion: wsfleet.dev/v1alpha1
kind: WebSocketCluster
metadata:
  name: ` + scaledName + `
  namespace: ` + namespace + `
spec:
  autoscaling:
    minReplicas: ` + strconv.Itoa(scaledIdle) + `
    maxReplicas: 8
    targetConnectionsPerPod: ` + strconv.Itoa(perGateway) + `
    behavior:
      scaleDown:
        stabilizationWindowSeconds: 30
        policies: [{type: Percent, value: 100, periodSeconds: 15}]
  redis:
    managed: {}
  drain:
    timeout: 10s
    propagationDelay: 2s
  rollout:
    minReadySeconds: 2
`

// loadManifest are pods that hold the load. Each has an address of its own, and so a gateway of its own.
func loadManifest() string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata:
  name: load
  namespace: %s
spec:
  replicas: %d
  selector: {matchLabels: {e2e: load}}
  template:
    metadata:
      labels: {e2e: load}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 2
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: client
        image: %s
        args: ["-address=%s:80", "-connections=%d"]
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}
`, namespace, loadPods, os.Getenv("CLIENT_IMAGE"), scaledService, loadEach)
}

// The real HorizontalPodAutoscaler controller scales a fleet on the metrics API's numbers, and on nothing else.
func TestAutoscalerFollowsTheConnections(t *testing.T) {
	t.Parallel()
	if _, err := kube.Apply(t.Context(), scaledManifest); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeScaled(t) })
	awaitScaled(t, 2*time.Minute, scaledIdle)
	eventually(t, 2*time.Minute, "MetricsAvailable", func() error { return scaledCondition(t, "MetricsAvailable") })

	if _, err := kube.Apply(t.Context(), loadManifest()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Minute, "the load is there", func() error {
		if n := scaledConnections(t); n != loadPods*loadEach {
			return fmt.Errorf("%d connections", n)
		}
		return nil
	})
	began := time.Now()
	awaitScaled(t, time.Minute, scaledPeak)
	t.Logf("%d gateways %s after the last of %d connections", scaledPeak, time.Since(began), loadPods*loadEach)

	t.Run("a rollout does not change the size", func(t *testing.T) {
		sizes := watchSize(t)
		run(t, "patch", "wsc", scaledName, "--type=merge", "-p", `{"spec":{"pod":{"annotations":{"e2e":"rolled"}}}}`)
		run(t, "wait", "--for=jsonpath={.spec.template.metadata.annotations.e2e}=rolled", "--timeout=30s",
			"deployment/"+scaledService)
		run(t, "rollout", "status", "deployment/"+scaledService, "--timeout=240s")
		awaitScaled(t, 2*time.Minute, scaledPeak)
		run(t, "wait", "--for=jsonpath={.status.drainingReplicas}=0", "--timeout=60s", "wsc/"+scaledName)
		expectSize(t, sizes, scaledPeak)
	})
	t.Run("a killed gateway does not change the size", func(t *testing.T) {
		sizes := watchSize(t)
		// The last pod of the rollout may still be there, about to end.
		serving, err := kube.ServingPods(t.Context(), scaledPods)
		if err != nil || len(serving) != scaledPeak {
			t.Fatalf("%v serve, want %d: %v", serving, scaledPeak, err)
		}
		run(t, "delete", "pod", serving[0], "--force", "--grace-period=0")
		awaitScaled(t, 2*time.Minute, scaledPeak)
		eventually(t, time.Minute, "its clients are back", func() error {
			if n := scaledConnections(t); n != loadPods*loadEach {
				return fmt.Errorf("%d connections", n)
			}
			return nil
		})
		expectSize(t, sizes, scaledPeak)
	})

	run(t, "delete", "deployment", "load", "--timeout=60s")
	awaitScaled(t, 3*time.Minute, scaledIdle)
}

// An uninstall removes the APIService with the metrics API. One that is left keeps namespaces from being deleted.
func TestMetricsAPIUninstallLeavesNoAPIService(t *testing.T) {
	overlay := filepath.Join("..", "..", "dist", "overlay")
	if _, err := os.Stat(overlay); err != nil {
		t.Fatalf("the metrics API could not be installed again: run `make e2e`, which writes %s: %v", overlay, err)
	}
	const apiService = "apiservice/v1beta2.custom.metrics.k8s.io"
	// The objects are in several namespaces.
	all := kube.In("")
	run(t, "wait", "--for=condition=Available", "--timeout=60s", apiService)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if _, err := all.Run(ctx, "apply", "--server-side", "--force-conflicts", "-k", overlay); err != nil {
			t.Error(err)
		}
		_, err := kube.In("wsfleet-system").Run(ctx, "rollout", "status", "deployment/wsfleet-metrics-api", "--timeout=120s")
		if err != nil {
			t.Error(err)
		}
		if _, err := kube.Run(ctx, "wait", "--for=create", "--timeout=60s", apiService); err != nil {
			t.Error(err)
		}
	})
	_, err := all.Run(t.Context(), "delete", "-k", filepath.Join("..", "..", "config", "metricsapi"), "--timeout=120s")
	if err != nil {
		t.Fatal(err)
	}
	run(t, "wait", "--for=delete", "--timeout=60s", apiService)
	run(t, "create", "namespace", "wsfleet-e2e-empty")
	run(t, "delete", "namespace", "wsfleet-e2e-empty", "--timeout=60s")
}

// removeScaled removes the load, and the fleet with its clients.
func removeScaled(t *testing.T) {
	ctx := context.WithoutCancel(t.Context())
	for _, object := range []string{"deployment/load", "wsc/" + scaledName} {
		if _, err := kube.Run(ctx, "delete", object, "--ignore-not-found", "--timeout=120s"); err != nil {
			t.Error(err)
		}
	}
}

// awaitScaled waits until the autoscaler wants a number of gateways, and that many serve.
func awaitScaled(t *testing.T, within time.Duration, want int) {
	t.Helper()
	eventually(t, within, fmt.Sprintf("%d gateways", want), func() error {
		size, err := scaledSize(t.Context())
		if err != nil {
			return err
		}
		ready, err := kube.Run(t.Context(), "get", "wsc", scaledName, "-o", "jsonpath={.status.ready}")
		if err != nil {
			return err
		}
		if size != want || ready != fmt.Sprintf("%d/%d", want, want) {
			return fmt.Errorf("spec.replicas is %d, ready are %s", size, ready)
		}
		return nil
	})
}

// scaledSize returns the number of gateways that the autoscaler wants.
func scaledSize(ctx context.Context) (int, error) {
	out, err := kube.Run(ctx, "get", "wsc", scaledName, "-o", "jsonpath={.spec.replicas}")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(out))
}

// scaledConnections returns what the metrics API says, or -1 when it says nothing.
func scaledConnections(t *testing.T) int {
	t.Helper()
	out, err := kube.Run(t.Context(), "get", "--raw", connectionsAPI)
	if err != nil {
		t.Logf("the metrics API: %v", err)
		return -1
	}
	_, after, _ := strings.Cut(out, `"value":"`)
	text, _, _ := strings.Cut(after, `"`)
	n, err := strconv.Atoi(strings.Replace(text, "k", "000", 1))
	if err != nil {
		t.Fatalf("no number in %s", out)
	}
	return n
}

func scaledCondition(t *testing.T, kind string) error {
	t.Helper()
	out := run(t, "get", "wsc", scaledName, "-o",
		`jsonpath={.status.conditions[?(@.type=="`+kind+`")].status} {.status.conditions[?(@.type=="`+kind+`")].message}`)
	if !strings.HasPrefix(out, "True") {
		return fmt.Errorf("%s is %s", kind, out)
	}
	return nil
}

// watchSize records each size that the autoscaler wants, until the test ends or the result is called.
func watchSize(t *testing.T) (sizes func() []int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	recorded := make(chan []int, 1)
	go func() {
		var all []int
		for ctx.Err() == nil {
			if size, err := scaledSize(ctx); err == nil && (len(all) == 0 || all[len(all)-1] != size) {
				all = append(all, size)
			}
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
		recorded <- all
	}()
	return func() []int {
		stop()
		return <-recorded
	}
}

func expectSize(t *testing.T, sizes func() []int, want int) {
	t.Helper()
	if all := sizes(); len(all) != 1 || all[0] != want {
		t.Errorf("the autoscaler wanted %v gateways one after another, want %d all the time", all, want)
	}
}
