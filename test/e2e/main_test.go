//go:build e2e

// Package e2e tests on a real cluster, with real kubelets and a real Redis, that a fleet keeps its clients while it
// changes. hack/e2e.sh prepares the cluster and runs the tests.
package e2e

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/test/kubectl"
)

const (
	namespace   = "wsfleet-e2e"
	clusterName = "fleet"
	serviceName = clusterName + "-gateway"
	selector    = "wsfleet.dev/cluster=" + clusterName + ",app.kubernetes.io/component=gateway"
	replicas    = 3
	// reconnectBudget is the number of clients per second that drains may send to other gateways.
	reconnectBudget = 4
	apiKey          = "e2e-key"
)

// kube is kubectl in the tests' namespace.
var kube = kubectl.Kubectl{Path: os.Getenv("KUBECTL"), Kubeconfig: os.Getenv("KUBECONFIG"), Namespace: namespace}

var fleetManifest = `
apiVersion: v1
kind: Namespace
metadata:
  name: ` + namespace + `
  labels:
    pod-security.kubernetes.io/enforce: restricted
---
apiVersion: v1
kind: Secret
metadata:
  name: fleet-api
  namespace: ` + namespace + `
stringData:
  key: ` + apiKey + `
---
apiVersion: wsfleet.dev/v1alpha1
kind: WebSocketCluster
metadata:
  name: ` + clusterName + `
  namespace: ` + namespace + `
spec:
  replicas: 3
  gateway:
    channels:
    - pattern: "kept:*"
      history: {size: 10000, ttl: 1h}
      recovery: true
    auth:
      apiKeySecretRef: {name: fleet-api, key: key}
  drain:
    timeout: 20s
    propagationDelay: 4s
  rollout:
    minReadySeconds: 2
    maxReconnectsPerSecond: ` + strconv.Itoa(reconnectBudget) + `
`

func TestMain(m *testing.M) {
	if err := setUp(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: set-up:", err)
		os.Exit(1)
	}
	code := m.Run()
	// A failed run leaves its objects for inspection.
	if code == 0 {
		if err := tearDown(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: tear-down:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func tearDown() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	_, err := kube.Run(ctx, "delete", "namespace", namespace, teamNamespace, "--ignore-not-found", "--timeout=110s")
	return err
}

func setUp() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if os.Getenv("CLIENT_IMAGE") == "" {
		return fmt.Errorf("CLIENT_IMAGE is not set: run `make e2e`")
	}
	// Objects of an earlier run would change the counts below.
	_, err := kube.Run(ctx, "delete", "namespace", namespace, teamNamespace, "--ignore-not-found", "--timeout=120s")
	if err != nil {
		return err
	}
	if _, err := kube.Apply(ctx, fleetManifest); err != nil {
		return err
	}
	if _, err := kube.Run(ctx, "wait", "--for=condition=Available", "--timeout=180s",
		"websocketcluster/"+clusterName); err != nil {
		return err
	}
	_, err = kube.Run(ctx, "rollout", "status", "deployment/"+serviceName, "--timeout=180s")
	return err
}

// eventually calls check until it returns no error.
func eventually(t *testing.T, within time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

func run(t *testing.T, args ...string) string {
	t.Helper()
	return runWith(t, kube, args...)
}

// runWith runs kubectl and returns its output. When kubectl fails, the test ends.
func runWith(t *testing.T, k kubectl.Kubectl, args ...string) string {
	t.Helper()
	out, err := k.Run(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// servingPods returns the gateways' pods that are ready and not being deleted.
func servingPods(t *testing.T) []string {
	t.Helper()
	names, err := kube.ServingPods(t.Context(), selector)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func awaitServing(t *testing.T, want int) []string {
	t.Helper()
	var pods []string
	eventually(t, 2*time.Minute, fmt.Sprintf("%d serving gateways", want), func() error {
		pods = servingPods(t)
		out, err := kube.Run(t.Context(), "get", "wsc", clusterName, "-o", "jsonpath={.status.ready}")
		if err != nil {
			return err
		}
		if ready := fmt.Sprintf("%d/%d", want, want); len(pods) != want || strings.TrimSpace(out) != ready {
			return fmt.Errorf("%d pods are ready, status says %s", len(pods), out)
		}
		return nil
	})
	return pods
}

// condition returns status, reason and message of one of the fleet's conditions.
func condition(t *testing.T, kind string) (status, reason, message string) {
	t.Helper()
	return conditionOf(t, clusterName, kind)
}

// conditionOf returns status, reason and message of one of a fleet's conditions.
func conditionOf(t *testing.T, name, kind string) (status, reason, message string) {
	t.Helper()
	var wsc struct {
		Status struct {
			Conditions []struct{ Type, Status, Reason, Message string }
		}
	}
	if err := kube.JSON(t.Context(), &wsc, "get", "wsc", name); err != nil {
		t.Fatal(err)
	}
	for _, c := range wsc.Status.Conditions {
		if c.Type == kind {
			return c.Status, c.Reason, c.Message
		}
	}
	return "", "", ""
}
