package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
)

func TestPlainClientsExchangeMessages(t *testing.T) {
	t.Parallel()
	g := start(t)
	a, b := g.dial(t, "/ws?channel=lobby"), g.dial(t, "/ws?channel=lobby")
	other := g.dial(t, "/ws?channel=elsewhere")

	a.text("hello")
	b.expect("hello")
	a.expect("hello")

	b.send(websocket.MessageBinary, "\x00\xff")
	kind, data, err := a.read()
	require.NoError(t, err)
	require.Equal(t, websocket.MessageBinary, kind, "binary stays binary")
	require.Equal(t, "\x00\xff", data)

	other.text("only me")
	other.expect("only me")
	g.awaitMetric(t, 3, "websocket_messages_received_total", "protocol", "plain")
	require.InDelta(t, 3, g.metric(t, "websocket_connections"), 0)
	g.awaitMetric(t, 3, "websocket_accepted_total", "protocol", "plain")
	g.awaitMetric(t, 3, "websocket_publish_seconds")
}

func TestPlainClientWithSeveralChannels(t *testing.T) {
	t.Parallel()
	g := start(t)
	both := g.dial(t, "/ws?channel=in&channel=out&publish=out")
	in, out := g.dial(t, "/ws?channel=in"), g.dial(t, "/ws?channel=out")
	in.text("from in")
	both.expect("from in")
	both.text("to out")
	out.expect("to out")

	listener := g.dial(t, "/ws?channel=in&channel=out")
	listener.text("where to?")
	listener.closed(1008, "?publish=NAME")
}

func TestPlainCloseFrameIsAnswered(t *testing.T) {
	t.Parallel()
	g := start(t)
	c := g.dial(t, "/ws?channel=a")
	require.NoError(t, c.Close(websocket.StatusNormalClosure, "bye"))
	g.awaitMetric(t, 1, "websocket_closed_total", "protocol", "plain", "code", "1000")
	g.awaitMetric(t, 0, "websocket_connections")

	gone := g.dialTCP(t, "/ws?channel=a")
	require.NoError(t, gone.Close())
	g.awaitMetric(t, 1, "websocket_closed_total", "code", "1006")
}

// Every refusal names a remedy and is counted.
func TestHandshakeRefusals(t *testing.T) {
	t.Parallel()
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
		"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}
	with := func(extra ...string) []string { return append(extra, upgrade...) }
	long := strings.Repeat("c", 256)
	cases := map[string]struct {
		method, path string
		header       []string
		status       int
		says, reason string
	}{
		"no upgrade": {"GET", "/ws?channel=a", nil, 426, "WebSocket client", "not_websocket"},
		"POST":       {"POST", "/ws?channel=a", upgrade, 405, "GET", "malformed"},
		"no version": {"GET", "/ws?channel=a",
			[]string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}, 400,
			"Version must be 13", "malformed"},
		"bad key": {"GET", "/ws?channel=a",
			[]string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "x"},
			400, "Key", "malformed"},
		"no channel":        {"GET", "/ws", upgrade, 400, "?channel=NAME", "bad_request"},
		"empty channel":     {"GET", "/ws?channel=", upgrade, 400, "channel name", "bad_request"},
		"long channel":      {"GET", "/ws?channel=" + long, upgrade, 400, "255 bytes", "bad_request"},
		"control character": {"GET", "/ws?channel=a%0ab", upgrade, 400, "control", "bad_request"},
		"publish elsewhere": {"GET", "/ws?channel=a&publish=b", upgrade, 400, "publish", "bad_request"},
		"publish twice":     {"GET", "/ws?channel=a&publish=a&publish=a", upgrade, 400, "one channel", "bad_request"},
		"too many channels": {"GET", "/ws?channel=a&channel=b&channel=c", upgrade, 400, "limit is 2", "channel_limit"},
		"foreign page": {"GET", "/ws?channel=a", with("Origin", "https://evil.example"), 403, "allowed-origins",
			"origin"},
		"unknown path is a 404": {"GET", "/wss", upgrade, 404, "not found", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, func(cfg *config.Config) { cfg.MaxChannelsPerConnection = 2 })
			got := request(t, c.method, "http://"+g.Addr()+c.path, "", c.header...)
			require.Equal(t, c.status, got.status, got.body)
			require.Contains(t, got.body, c.says)
			if c.reason != "" {
				require.Equal(t, "node-1", got.header.Get("Wsfleet-Node"))
				g.awaitMetric(t, 1, "websocket_refused_total", "reason", c.reason)
			}
			require.InDelta(t, 0, g.metric(t, "websocket_accepted_total"), 0)
			require.Zero(t, g.Report().Connections)
		})
	}
}

func TestHandshakeIsRefusedByAFullGateway(t *testing.T) {
	t.Parallel()
	g := start(t, func(cfg *config.Config) { cfg.MaxConnections = 2 })
	a := g.dial(t, "/ws?channel=a")
	g.dial(t, "/connection/websocket")
	_, response, err := g.tryDial(t, "/ws?channel=a")
	require.Error(t, err)
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.NotEmpty(t, response.Header.Get("Retry-After"))
	g.awaitMetric(t, 1, "websocket_refused_total", "reason", "full")
	require.Equal(t, http.StatusOK, g.admin(t, "GET", "/readyz").status)

	require.NoError(t, a.Close(websocket.StatusNormalClosure, ""))
	g.awaitMetric(t, 1, "websocket_connections")
	g.dial(t, "/ws?channel=a")
}

func TestHandshakeLimitPerIP(t *testing.T) {
	t.Parallel()
	g := start(t, func(cfg *config.Config) {
		cfg.MaxConnectionsPerIP = 1
		cfg.TrustedProxies = []string{"127.0.0.0/8"}
	})
	from := func(ip string) *websocket.DialOptions {
		return &websocket.DialOptions{HTTPHeader: http.Header{"X-Forwarded-For": {ip}}}
	}
	first := g.dial(t, "/ws?channel=a", from("198.51.100.1"))
	g.dial(t, "/ws?channel=a", from("198.51.100.2"))
	_, response, err := g.tryDial(t, "/ws?channel=a", from("6.6.6.6, 198.51.100.1"))
	require.Error(t, err)
	require.Equal(t, http.StatusTooManyRequests, response.StatusCode)
	require.NotEmpty(t, response.Header.Get("Retry-After"))
	g.awaitMetric(t, 1, "websocket_refused_total", "reason", "per_ip")

	require.NoError(t, first.Close(websocket.StatusNormalClosure, ""))
	g.awaitMetric(t, 1, "websocket_connections")
	g.dial(t, "/ws?channel=a", from("198.51.100.1"))
}
