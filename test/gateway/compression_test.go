package gateway_test

import (
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
)

// Clients with and without compression share a channel and get the same messages.
func TestCompressionIsPerClient(t *testing.T) {
	r := start(t, func(cfg *config.Config) { cfg.Compression = true })
	offer := &websocket.DialOptions{CompressionMode: websocket.CompressionNoContextTakeover}
	plain := r.dial(t, "/ws?channel=a")
	one, other := r.dial(t, "/ws?channel=a", offer), r.dial(t, "/ws?channel=a", offer)
	message := strings.Repeat("again and ", 2000)
	for _, sender := range []*client{plain, one} {
		sender.text(message)
		for _, c := range []*client{plain, one, other} {
			c.expect(message)
		}
	}
	r.awaitMetric(t, 6, "websocket_messages_sent_total")
	require.Less(t, r.metric(t, "websocket_sent_bytes_total"), 2.1*float64(len(message)), "of six")
}
