//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A deleted fleet carries messages until its gateways have closed the last connection: its Redis goes after them.
func TestDeletedFleetPublishesUntilItsGatewaysEnd(t *testing.T) {
	t.Parallel()
	const name, clients = "deleted", 6
	fleet := fmt.Sprintf(`
apiVersion: wsfleet.dev/v1alpha1
kind: WebSocketCluster
metadata:
  name: %s
spec:
  replicas: 2
  drain: {timeout: 30s, propagationDelay: 4s}
  rollout: {minReadySeconds: 0}
`, name)
	if _, err := kube.Apply(t.Context(), fleet); err != nil {
		t.Fatal(err)
	}
	run(t, "wait", "--for=condition=Ready", "--timeout=120s", "wsc/"+name)
	publishers := applyClients(t, name, name+"-gateway", clients, 1, "-protocol=centrifuge", "-visits=1", "-hold=10m")
	for _, p := range publishers {
		eventually(t, time.Minute, p.name+" connects", func() error {
			if len(p.events()) == 0 {
				return fmt.Errorf("it has not connected")
			}
			return nil
		})
	}

	run(t, "delete", "wsc", name, "--timeout=120s")
	if left := run(t, "get", "pods", "-l", "wsfleet.dev/cluster="+name+",app.kubernetes.io/component=gateway", "-o",
		"name"); left != "" {
		t.Errorf("the fleet is gone, and its gateways are not: %s", left)
	}
	for _, p := range publishers {
		eventually(t, time.Minute, p.name+" ends", func() error {
			if phase := run(t, "get", "pod", p.name, "-o", "jsonpath={.status.phase}"); phase != "Failed" {
				return fmt.Errorf("it is %s", phase)
			}
			return nil
		})
		if end := lastLine(p.logs()); !strings.Contains(end, "3001") {
			t.Errorf("%s ended with %q, want the close of a drain, with code 3001, after publications that all came back",
				p.name, end)
		}
	}
	stopClients(t, name)
}
