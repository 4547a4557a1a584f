//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/test/wsclient"
)

// A wrong spec is reported in the conditions, and the running fleet stays as it was.
func TestWrongSpecLeavesTheFleetAlone(t *testing.T) {
	cases := []struct {
		name, patch, undo, condition, reason string
		message                              []string
	}{
		{
			name:      "missing Secret",
			patch:     `{"spec":{"gateway":{"auth":{"previousAPIKeySecretRef":{"name":"not-there"}}}}}`,
			undo:      `{"spec":{"gateway":{"auth":{"previousAPIKeySecretRef":null}}}}`,
			condition: "SpecAccepted",
			reason:    "SecretNotFound",
			message:   []string{"spec.gateway.auth.previousAPIKeySecretRef"},
		},
		{
			name:      "missing certificate",
			patch:     `{"spec":{"gateway":{"tls":{"secretName":"not-there"}}}}`,
			undo:      `{"spec":{"gateway":{"tls":null}}}`,
			condition: "SpecAccepted",
			reason:    "SecretNotFound",
			message:   []string{"spec.gateway.tls.secretName"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := awaitServing(t, replicas)
			clients := startClients(t, "faults", wsclient.Plain, 2, 5)
			run(t, "patch", "wsc", clusterName, "--type=merge", "-p", c.patch)
			eventually(t, 2*time.Minute, "the condition tells it", func() error {
				status, reason, message := condition(t, c.condition)
				if status != "False" || (c.reason != "" && reason != c.reason) {
					return fmt.Errorf("%s is %s, %s: %s", c.condition, status, reason, message)
				}
				for _, part := range c.message {
					if !strings.Contains(message, part) {
						return fmt.Errorf("message does not name %s: %s", part, message)
					}
				}
				t.Logf("%s=%s %s: %s", c.condition, status, reason, message)
				return nil
			})
			// The event is written beside the condition, not before it.
			eventually(t, 30*time.Second, "a Warning event tells it", func() error {
				events := run(t, "get", "events", "--field-selector=type=Warning", "-o", "jsonpath={.items[*].message}")
				if !strings.Contains(events, c.message[0]) {
					return fmt.Errorf("no Warning event names %s: %s", c.message[0], events)
				}
				return nil
			})
			after := servingPods(t)
			for _, pod := range before {
				if !slices.Contains(after, pod) {
					t.Errorf("%s does not serve any more", pod)
				}
			}
			if closes := closesOf(clients, ""); len(closes) != 0 {
				t.Errorf("clients were disconnected: %v", closes)
			}
			run(t, "patch", "wsc", clusterName, "--type=merge", "-p", c.undo)
			awaitServing(t, replicas)
			stopClients(t, "faults")
		})
	}
}

func TestOperatorRestartChangesNothing(t *testing.T) {
	before := awaitServing(t, replicas)
	system := kube.In("wsfleet-system")
	if _, err := system.Run(t.Context(), "rollout", "restart", "deployment/wsfleet-operator"); err != nil {
		t.Fatal(err)
	}
	if _, err := system.Run(t.Context(), "rollout", "status", "deployment/wsfleet-operator",
		"--timeout=120s"); err != nil {
		t.Fatal(err)
	}
	// The new operator works when it does what only an operator can do.
	run(t, "scale", "wsc", clusterName, fmt.Sprintf("--replicas=%d", replicas+1))
	after := awaitServing(t, replicas+1)
	for _, pod := range before {
		if !slices.Contains(after, pod) {
			t.Errorf("%s was replaced", pod)
		}
	}
	run(t, "scale", "wsc", clusterName, fmt.Sprintf("--replicas=%d", replicas))
	awaitServing(t, replicas)
}

// Clients stay connected while Redis is away, and talk again when it is back. Delivery is at most
// once: what is published before the gateways are back at Redis is lost, so it is published again.
func TestRedisRestartKeepsTheClients(t *testing.T) {
	all := subscribeEverywhere(t, wsclient.Plain, "redis-restart")
	// Each client reads all the time, because only a reading client answers the gateway's pings.
	type receipt struct {
		pod string
		err error
	}
	receipts := make(chan receipt, len(all))
	for _, s := range all {
		go func() {
			_, err := s.conn.Receive(t.Context())
			receipts <- receipt{s.pod, err}
			for err == nil {
				_, err = s.conn.Receive(t.Context())
			}
		}()
	}
	run(t, "delete", "pod", "-l", "wsfleet.dev/cluster="+clusterName+",app.kubernetes.io/component=redis", "--wait=true")
	run(t, "rollout", "status", "deployment/"+clusterName+"-redis", "--timeout=90s")

	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(90 * time.Second)
	for missing := len(all); missing > 0; {
		select {
		case r := <-receipts:
			if r.err != nil {
				t.Fatalf("the client on %s was lost: %v", r.pod, r.err)
			}
			missing--
		case <-again.C:
			if err := all[0].conn.Publish(t.Context(), "Redis is back"); err != nil {
				t.Fatal(err)
			}
		case <-deadline:
			t.Fatalf("%d of %d clients still hear nothing", missing, len(all))
		}
	}
	awaitBackplane(t)
}

func awaitBackplane(t *testing.T) {
	t.Helper()
	eventually(t, 90*time.Second, "the gateways have Redis", func() error {
		if status, reason, message := condition(t, "BackplaneReady"); status != "True" {
			return fmt.Errorf("BackplaneReady is %s, %s: %s", status, reason, message)
		}
		return nil
	})
}
