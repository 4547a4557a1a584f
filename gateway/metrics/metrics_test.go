package metrics

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/internal/golden"
	"github.com/wsfleet/wsfleet/internal/promdoc"
)

// watched returns the metrics of a gateway whose gauges are all 0.
func watched() *Metrics {
	zero := func() int { return 0 }
	m := New()
	m.Watch(Sources{
		Version:      "v1",
		Connections:  zero,
		Limit:        zero,
		QueuedBytes:  func() int64 { return 0 },
		HeldRefusals: func() int { return 0 },
		Channels:     zero,
		Broker:       func() broker.Status { return broker.Status{State: contract.BrokerReady} },
		State:        func() contract.State { return contract.StateServing },
		Users:        zero,
		WebhookQueue: zero,
		BreakerOpen:  func(string) bool { return false },
	})
	return m
}

func TestMetricsAreDocumented(t *testing.T) {
	golden.Section(t, "../../docs/metrics.md", "gateway", promdoc.Table(watched().declared))
}

// Every metric must go through declarer, or docs/metrics.md would lack it.
func TestMetricsServesOnlyDeclaredOnes(t *testing.T) {
	m := watched()
	declared := map[string]bool{}
	for _, d := range m.declared {
		require.False(t, declared[d.Name], "%s is declared twice", d.Name)
		declared[d.Name] = true
	}
	families, err := m.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if name := f.GetName(); !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			require.True(t, declared[name], name)
		}
	}
}

func TestMetricsBeginAtZero(t *testing.T) {
	w := httptest.NewRecorder()
	watched().Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, contract.PathMetrics, http.NoBody))
	for _, series := range []string{
		`websocket_refused_total{reason="handshake_crowd"} 0`,
		`websocket_dropped_clients_total{reason="heartbeat"} 0`,
		`websocket_dropped_messages_total{policy="LatestOnly"} 0`,
		`websocket_publish_errors_total{reason="refused"} 0`,
		`websocket_drain_closed_total{how="forced"} 0`,
		`websocket_webhook_events_total{outcome="queue_full"} 0`,
		`websocket_stream_gaps_total 0`,
		`websocket_certificate_errors_total 0`,
		`websocket_publish_seconds_count 0`,
		`websocket_broker_state{state="ready"} 1`,
		`wsfleet_gateway_info{version="v1"} 1`,
	} {
		require.Contains(t, w.Body.String(), "\n"+series+"\n")
	}
}
