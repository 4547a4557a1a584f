package gateway_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// A client that does not read stays connected, misses the messages that the rule of its channel allows to be dropped,
// and gets the latest one in the end. The sender misses nothing: sendUntil awaits each of its messages.
func TestSlowClientMissesOnlyWhatItsChannelAllows(t *testing.T) {
	for _, policy := range []channel.SlowConsumer{channel.DropOldest, channel.LatestOnly} {
		t.Run(string(policy), func(t *testing.T) {
			g := start(t, func(cfg *config.Config) {
				cfg.MaxQueuedBytes = 128 << 10
				cfg.Channels = channel.Rules{{Pattern: "price:*", SlowConsumer: policy}}
			})
			slow, quick := g.dial(t, "/ws?channel=price:x"), g.dial(t, "/ws?channel=price:x")
			quick.sendUntil(func() bool { return g.metric(t, "websocket_dropped_messages_total", "policy", string(policy)) > 5 })
			sent := g.metric(t, "websocket_messages_received_total")
			quick.text("the end")
			quick.expect("the end")

			slow.SetReadLimit(1 << 20)
			got := 0.0
			for {
				_, message, err := slow.read()
				require.NoError(t, err)
				if message == "the end" {
					break
				}
				got++
			}
			require.Less(t, got, sent)
			require.Zero(t, g.metric(t, "websocket_dropped_clients_total"))
		})
	}
}

// The maximum of all queues together applies besides the maximum of each queue.
func TestQueuesShareABudget(t *testing.T) {
	g := start(t, func(cfg *config.Config) {
		cfg.MaxQueuedBytes, cfg.MaxTotalQueuedBytes = 1<<30, 1<<20
	})
	slow, quick := g.dialTCP(t, "/ws?channel=a"), g.dial(t, "/ws?channel=a")
	require.Zero(t, g.metric(t, "websocket_queued_bytes"))
	quick.sendUntil(func() bool { return g.metric(t, "websocket_dropped_clients_total", "reason", "slow") > 0 })
	_ = slow
	g.awaitMetric(t, 1, "websocket_connections")
	require.Zero(t, g.metric(t, "websocket_queued_bytes"), "all given back")
	require.Equal(t, http.StatusOK, g.admin(t, http.MethodGet, "/livez").status)
}
