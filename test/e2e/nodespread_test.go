//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The gateways of a fleet are on all nodes alike, on nodes without the label of a zone too, and those of a new version
// are so as well.
func TestNodesShareAFleet(t *testing.T) {
	spareNode(t)
	const fleet, gateways = "shared", 4
	manifest := func(version string) {
		t.Helper()
		_, err := kube.Apply(t.Context(), fmt.Sprintf(`
apiVersion: wsfleet.dev/v1alpha1
kind: WebSocketCluster
metadata:
  name: %s
spec:
  replicas: %d
  pod: {labels: {version: %q}}
  drain: {timeout: 10s, propagationDelay: 1s}
  rollout: {minReadySeconds: 0}
`, fleet, gateways, version))
		if err != nil {
			t.Fatal(err)
		}
		run(t, "wait", "--for=condition=Ready", "--timeout=180s", "wsc/"+fleet)
	}
	defer run(t, "delete", "wsc", fleet, "--wait=false")

	for _, version := range []string{"one", "two"} {
		manifest(version)
		run(t, "wait", "--for=jsonpath={.status.updatedReplicas}="+fmt.Sprint(gateways), "--timeout=180s",
			"deployment/"+fleet+"-gateway")
		run(t, "rollout", "status", "deployment/"+fleet+"-gateway", "--timeout=180s")
		counts := map[string]int{}
		for _, node := range openNodes(t) {
			counts[node] = 0
		}
		pods := run(t, "get", "pods", "-l", "version="+version, "-o", `jsonpath={range .items[*]}{.spec.nodeName}{"\n"}{end}`)
		all := 0
		for node := range strings.Lines(pods) {
			counts[strings.TrimSpace(node)]++
			all++
		}
		numbers := make([]int, 0, len(counts))
		for _, n := range counts {
			numbers = append(numbers, n)
		}
		if all != gateways || slices.Max(numbers)-slices.Min(numbers) > 1 {
			t.Errorf("the gateways of version %s are on the nodes %v, want them alike", version, counts)
		}
	}
}
