//go:build e2e

package e2e

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/test/wsclient"
)

// A fleet that grows from two gateways to five moves clients to the new ones, although the Service has ClientIP
// affinity: no client is lost, and the two have no more than their share at the end.
func TestRebalance(t *testing.T) {
	t.Parallel()
	const fleet, pods, each = "rebalance", 12, 50
	manifest := fmt.Sprintf(`
apiVersion: wsfleet.dev/v1alpha1
kind: WebSocketCluster
metadata:
  name: %s
spec:
  replicas: 2
  drain: {timeout: 60s, propagationDelay: 4s}
  rollout: {minReadySeconds: 2}
  rebalance: {enabled: true, maxShedPerMinute: 1200}
`, fleet)
	if _, err := kube.Apply(t.Context(), manifest); err != nil {
		t.Fatal(err)
	}
	run(t, "wait", "--for=condition=Ready", "--timeout=180s", "wsc/"+fleet)
	clients := applyClients(t, fleet, fleet+"-gateway", pods, each)
	eventually(t, 2*time.Minute, "all clients are connected", func() error { return allOpen(clients) })
	old := byGateway(clients)
	if len(old) > 2 {
		t.Fatalf("clients are on %v, want two gateways", old)
	}

	started := time.Now()
	run(t, "scale", "wsc", fleet, "--replicas=5")
	limit := int(pods*each/5 + 4*math.Sqrt(pods*each/5))
	eventually(t, 5*time.Minute, "the old gateways have their share", func() error {
		if err := allOpen(clients); err != nil {
			return err
		}
		now := byGateway(clients)
		for pod := range old {
			if now[pod] > limit {
				return fmt.Errorf("%s has more than %d: %v; %s", pod, limit, now, reasonOf(t, fleet, "Progressing"))
			}
		}
		return nil
	})
	run(t, "wait", "--for=condition=Progressing=false", "--timeout=180s", "wsc/"+fleet)
	if err := allOpen(clients); err != nil {
		t.Error(err)
	}
	closes := closesOf(clients, "")
	took := time.Since(started).Round(time.Second)
	t.Logf("%v became %v in %s, with %d closes", old, byGateway(clients), took, len(closes))
	expectCleanCloses(t, closes, closeCodes[wsclient.Plain])
	if len(closes) > 2*pods*each {
		t.Errorf("%d closes of %d clients", len(closes), pods*each)
	}
	events := run(t, "get", "events", "--field-selector", "reason=Rebalancing", "-o", "jsonpath={.items[*].message}")
	if !strings.Contains(events, "of its") {
		t.Errorf("no event tells what moves: %q", events)
	}
	run(t, "delete", "wsc", fleet, "--wait=false")
	stopClients(t, fleet)
}

// allOpen returns an error when a client is not connected.
func allOpen(clients []clientPod) error {
	for _, c := range clients {
		if open := len(c.open()); open != c.connections {
			return fmt.Errorf("%s: %d of %d connections are open", c.name, open, c.connections)
		}
	}
	return nil
}

// byGateway returns the number of the clients' connections by gateway.
func byGateway(clients []clientPod) map[string]int {
	total := map[string]int{}
	for _, c := range clients {
		for node, n := range c.nodes() {
			total[node] += n
		}
	}
	return total
}

// reasonOf returns the reason of a fleet's condition.
func reasonOf(t *testing.T, fleet, kind string) string {
	t.Helper()
	return run(t, "get", "wsc", fleet, "-o", `jsonpath={.status.conditions[?(@.type=="`+kind+`")].reason}`)
}
