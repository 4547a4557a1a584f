package simulate

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkRun prints how many connections a simulation works through per second, and how many bytes of the heap it
// keeps for each pod. The fleet replaces or loses a tenth of its gateways at once.
func BenchmarkRun(b *testing.B) {
	clients, err := ParseClients("centrifuge=50,stompjs=30,reconnecting-websocket=20", nil)
	require.NoError(b, err)
	for _, fleet := range []struct {
		replicas    int32
		connections int64
	}{{20, 100_000}, {200, 1_000_000}, {2000, 10_000_000}} {
		for _, event := range []Event{{Kind: Rollout}, {Kind: ZoneLoss}, {Kind: ScaleIn, Count: int(fleet.replicas) / 10}} {
			b.Run(fmt.Sprintf("%s/connections=%d", event.Kind, fleet.connections), func(b *testing.B) {
				s := Defaults()
				s.Spec.Replicas, s.Connections, s.Clients, s.Events = &fleet.replicas, fleet.connections, clients, []Event{event}
				s.Spec.Gateway.MaxConnections = new(int32(20_000))
				allowDraining(&s, "10%")
				for b.Loop() {
					r, err := Run(b.Context(), s, nil)
					require.NoError(b, err)
					require.True(b, r.Settled)
				}
				b.ReportMetric(float64(fleet.connections)*float64(b.N)/b.Elapsed().Seconds(), "connections/s")
				b.ReportMetric(bytesPerPod(b, s), "bytes/pod")
			})
		}
	}
}

// bytesPerPod returns how much the heap has grown, for each pod, when a simulation has run for a minute.
func bytesPerPod(b *testing.B, s Scenario) float64 {
	b.Helper()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	f, err := newSimulation(s)
	require.NoError(b, err)
	for ; f.now < 60*slotsPerSecond; f.now++ {
		f.step()
	}
	grown := heap() - before
	pods := len(f.gateways)
	runtime.KeepAlive(f)
	return float64(grown) / float64(pods)
}
