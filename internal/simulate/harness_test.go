package simulate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/internal/reconnect"
)

// scenario returns a scenario of gateways whose pods start in ten seconds, with the events.
func scenario(t *testing.T, replicas int32, connections int64, events ...string) Scenario {
	t.Helper()
	s := Defaults()
	s.Spec.Replicas, s.Connections = &replicas, connections
	s.PodStart = Range{10 * time.Second, 10 * time.Second}
	for _, text := range events {
		e, err := ParseEvent(text)
		require.NoError(t, err)
		s.Events = append(s.Events, e)
	}
	return s
}

// layerOf returns a layer that waits the same time before each attempt.
func layerOf(wait time.Duration) reconnect.Layer {
	return reconnect.Layer{Name: "test", Waits: []reconnect.Wait{{Min: wait, Max: wait}}, Growth: 1}
}

// comeBackAfter returns the shares of one layer that waits the same time before each attempt.
func comeBackAfter(wait time.Duration) []Share {
	return []Share{{Layer: layerOf(wait), Weight: 1}}
}

// allowDraining lets a number of gateways drain at once, in rollouts too.
func allowDraining(s *Scenario, most string) {
	value := intstr.Parse(most)
	s.Spec.Disruption.MaxUnavailable, s.Spec.Rollout.MaxSurge = &value, &value
}

// run simulates a scenario, and checks after each step that no client is lost or counted twice.
func run(t *testing.T, s Scenario) *Result {
	t.Helper()
	require.NoError(t, s.Validate())
	f, err := newSimulation(s)
	require.NoError(t, err)
	for ; f.now <= slots(s.Limit); f.now++ {
		f.step()
		requireConserved(t, f)
		if f.now%slotsPerSecond == 0 {
			f.sample()
			if f.settled() {
				break
			}
		}
	}
	return f.result()
}

// requireConserved checks the sums that hold at any time.
func requireConserved(t *testing.T, f *simulation) {
	t.Helper()
	connected := int64(0)
	for _, g := range f.gateways {
		sum := int64(0)
		for _, n := range g.byLayer {
			if n < 0 {
				t.Fatalf("%v: %s has %d connections of a layer", f.now.seconds(), g.pod.Name, n)
			}
			sum += n
		}
		if sum != g.open || g.open > int64(*f.spec.Gateway.MaxConnections) {
			t.Fatalf("%v: %s has %d connections, %d by layer", f.now.seconds(), g.pod.Name, g.open, sum)
		}
		connected += sum
	}
	waiting := int64(0)
	for _, due := range f.clients.attempts.slots {
		for _, c := range due.cohorts {
			waiting += c.count
		}
	}
	if waiting != f.clients.away {
		t.Fatalf("%v: %d clients are away, and %d wait for an attempt", f.now.seconds(), f.clients.away, waiting)
	}
	if total := connected + f.clients.away + f.clients.gone; total != f.scenario.Connections {
		t.Fatalf("%v: %d connected, %d away, %d gone, of %d", f.now.seconds(), connected, f.clients.away, f.clients.gone,
			f.scenario.Connections)
	}
	for i, g := range f.listed {
		if g.listedAt != i {
			t.Fatalf("%v: %s is at %d of the list and not at %d", f.now.seconds(), g.pod.Name, i, g.listedAt)
		}
	}
}
