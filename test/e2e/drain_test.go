//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/test/e2e/event"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

// closeCodes are the codes that a drain may use, by protocol. Both tell the client to reconnect.
var closeCodes = map[wsclient.Protocol]int{wsclient.Plain: 1012, wsclient.Centrifuge: 3001}

func TestDeletedPodHandsItsClientsOver(t *testing.T) {
	for protocol, code := range closeCodes {
		t.Run(string(protocol), func(t *testing.T) {
			awaitServing(t, replicas)
			prefix := "drain-" + string(protocol)
			const each = 8
			clients := startClients(t, prefix, protocol, 4, each)
			victim, held := busiest(clients)
			t.Logf("deleting %s, which holds %d connections", victim, held)
			run(t, "delete", "pod", victim, "--wait=false")

			eventually(t, time.Minute, "its clients are on other pods", func() error {
				for _, p := range clients {
					nodes := p.nodes()
					if open := len(p.open()); open != each || nodes[victim] != 0 {
						return fmt.Errorf("%s: %d of %d open, on %v", p.name, open, each, nodes)
					}
				}
				return nil
			})
			closes := closesOf(clients, victim)
			if len(closes) != held {
				t.Errorf("%d closes, want one for each of the %d connections", len(closes), held)
			}
			expectCleanCloses(t, closes, code)
			fastest := time.Duration(held-1) * time.Second / reconnectBudget * 8 / 10
			if span := spanOf(closes); span < fastest || span > 16*time.Second {
				t.Errorf("%d connections were closed within %s, want some %d a second", held, span, reconnectBudget)
			}
			awaitServing(t, replicas)
			stopClients(t, prefix)
		})
	}
}

// A fleet that grows and shrinks again loses the gateway that has no clients, so its users do not notice. One that
// shrinks further hands over the clients of a gateway before that is deleted, and keeps it when the size is raised
// meanwhile.
func TestScaleInDrainsFirst(t *testing.T) {
	before := awaitServing(t, replicas)
	clients := startClients(t, "scale", wsclient.Plain, 6, 5)
	run(t, "scale", "websocketcluster", clusterName, fmt.Sprintf("--replicas=%d", replicas+1))
	awaitServing(t, replicas+1)
	run(t, "scale", "websocketcluster", clusterName, fmt.Sprintf("--replicas=%d", replicas))
	awaitGone(t, time.Minute, replicas)
	if after := awaitServing(t, replicas); !slices.Equal(after, before) {
		t.Errorf("%v serve, and %v did before the fleet grew: the new gateway was the one without clients", after, before)
	}
	if closes := closesOf(clients, ""); len(closes) > 0 {
		t.Errorf("%d clients were closed, although a gateway without clients could go: %v", len(closes), closes)
	}

	run(t, "scale", "websocketcluster", clusterName, fmt.Sprintf("--replicas=%d", replicas-1))
	going := awaitScaleIn(t)
	run(t, "scale", "websocketcluster", clusterName, fmt.Sprintf("--replicas=%d", replicas))
	if after := awaitServing(t, replicas); !slices.Equal(after, before) {
		t.Errorf("%v serve, want %v: %s was not deleted yet, and serves again", after, before, going)
	}

	run(t, "scale", "websocketcluster", clusterName, fmt.Sprintf("--replicas=%d", replicas-1))
	going = awaitScaleIn(t)
	awaitGone(t, 2*time.Minute, replicas-1)
	serving := awaitServing(t, replicas-1)
	if slices.Contains(serving, going) {
		t.Errorf("%s drained, and another gateway was deleted: %v serve", going, serving)
	}
	eventually(t, time.Minute, "all clients are on serving gateways", func() error {
		for _, p := range clients {
			if open := len(p.open()); open != p.connections {
				return fmt.Errorf("%s: %d of %d open", p.name, open, p.connections)
			}
			for node := range p.nodes() {
				if !slices.Contains(serving, node) {
					return fmt.Errorf("%s is still on %s, which is going", p.name, node)
				}
			}
		}
		return nil
	})
	expectCleanCloses(t, closesOf(clients, ""), closeCodes[wsclient.Plain])
	run(t, "scale", "websocketcluster", clusterName, fmt.Sprintf("--replicas=%d", replicas))
	awaitServing(t, replicas)
	stopClients(t, "scale")
}

// awaitScaleIn waits until a gateway drains before it is deleted, and returns its pod.
func awaitScaleIn(t *testing.T) (pod string) {
	t.Helper()
	eventually(t, time.Minute, "a gateway drains for the scale-in", func() error {
		pod = run(t, "get", "wsc", clusterName, "-o", `jsonpath={.status.drain[?(@.reason=="scale-in")].pod}`)
		if pod == "" {
			_, reason, message := condition(t, "Progressing")
			return fmt.Errorf("none does, and Progressing says %s: %s", reason, message)
		}
		return nil
	})
	return pod
}

// awaitGone waits until the fleet has no more pods than want, those that terminate included.
func awaitGone(t *testing.T, within time.Duration, want int) {
	t.Helper()
	eventually(t, within, fmt.Sprintf("%d pods are left", want), func() error {
		pods := strings.Fields(run(t, "get", "pods", "-l", selector, "-o", "jsonpath={.items[*].metadata.name}"))
		if len(pods) > want {
			return fmt.Errorf("there are %v", pods)
		}
		return nil
	})
}

func busiest(clients []clientPod) (node string, connections int) {
	total := map[string]int{}
	for _, p := range clients {
		for node, n := range p.nodes() {
			total[node] += n
		}
	}
	for n, count := range total {
		if count > connections {
			node, connections = n, count
		}
	}
	return node, connections
}

// closesOf returns the closes that clients saw from one gateway, or from any when node is empty.
func closesOf(clients []clientPod, node string) []event.Event {
	var closes []event.Event
	for _, p := range clients {
		for _, e := range p.closes() {
			if node == "" || e.Node == node {
				closes = append(closes, e)
			}
		}
	}
	return closes
}

func expectCleanCloses(t *testing.T, closes []event.Event, code int) {
	t.Helper()
	for _, e := range closes {
		if e.Code != code {
			t.Errorf("%s closed a client with %d %q, want %d", e.Node, e.Code, e.Reason, code)
		}
	}
}

func spanOf(events []event.Event) time.Duration {
	var first, last time.Time
	for _, e := range events {
		if first.IsZero() || e.At.Before(first) {
			first = e.At
		}
		if e.At.After(last) {
			last = e.At
		}
	}
	return last.Sub(first)
}
