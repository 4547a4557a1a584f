//go:build e2e

package e2e

import (
	"fmt"
	"slices"
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
			if span := spanOf(closes); span < 3*time.Second {
				t.Errorf("%d connections were closed within %s: a reconnect storm, want a steady pace over the drain time", held,
					span)
			}
			awaitServing(t, replicas)
			stopClients(t, prefix)
		})
	}
}

func TestScale(t *testing.T) {
	awaitServing(t, replicas)
	clients := startClients(t, "scale", wsclient.Plain, 6, 5)
	for _, want := range []int{replicas + 1, replicas - 1, replicas} {
		run(t, "scale", "websocketcluster", clusterName, fmt.Sprintf("--replicas=%d", want))
		awaitServing(t, want)
	}
	serving := awaitServing(t, replicas)
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
	stopClients(t, "scale")
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
