package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
)

// burst is a limit per second that a test can exceed on any machine.
const burst = 3

func TestConnectRateLimit(t *testing.T) {
	g := start(t, func(c *config.Config) { c.ConnectRate = burst })
	for let := 0; ; let++ {
		_, response, err := g.tryDial(t, "/ws?channel=a")
		if err == nil {
			require.Less(t, let, 100*burst, "the gateway refuses no client")
			continue
		}
		require.GreaterOrEqual(t, let, burst)
		require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
		require.Equal(t, "1", response.Header.Get("Retry-After"))
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Contains(t, string(body), "3 new connections per second")
		g.awaitMetric(t, 1, "websocket_refused_total", "reason", "rate")
		require.InDelta(t, burst, g.metric(t, "websocket_connect_rate_limit"), 0)
		return
	}
}

func TestMessageRateLimit(t *testing.T) {
	for path, want := range map[string]struct {
		first, more string
		code        int
	}{
		"/ws?channel=a":         {"x", "x", 1008},
		"/connection/websocket": {`{"id":1,"connect":{}}`, `{"id":2,"ping":{}}`, 4008},
		"/connection/websocket?": {`{"id":1,"connect":{}}`,
			strings.Repeat(`{"id":2,"ping":{}}`+"\n", 10*burst) + `{"id":3,"ping":{}}`, 4008},
	} {
		t.Run(path, func(t *testing.T) {
			g := start(t, func(c *config.Config) { c.MessageRate = burst })
			c := g.dial(t, path)
			c.text(want.first)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 100 * burst {
					if c.Write(t.Context(), 1, []byte(want.more)) != nil {
						return
					}
				}
			}()
			c.closed(want.code, "message rate")
			<-done
			g.awaitMetric(t, 1, "websocket_dropped_clients_total", "reason", "rate")
			g.awaitMetric(t, 1, "websocket_closed_total", "code", map[int]string{1008: "1008", 4008: "4008"}[want.code])
		})
	}
}

func TestConnectTimeout(t *testing.T) {
	g := start(t, func(c *config.Config) { c.ConnectTimeout = 100 * time.Millisecond })
	g.dial(t, "/connection/websocket").closed(3502, "stale")
	g.awaitMetric(t, 1, "websocket_closed_total", "code", "3502")
}

func TestHandshakeTimeout(t *testing.T) {
	g := start(t, func(c *config.Config) { c.HandshakeTimeout = 100 * time.Millisecond })
	conn, err := net.Dial("tcp", g.Addr())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(waitTimeout)))
	_, err = io.WriteString(conn, "GET /ws?channel=a HTTP/1.1\r\nHost: x\r\n")
	require.NoError(t, err)
	_, err = io.ReadAll(conn)
	require.NoError(t, err, "it is closed")
	g.awaitMetric(t, 1, "websocket_refused_total", "reason", "handshake_timeout")
}

func TestMetricsOfQueuedBytes(t *testing.T) {
	g := start(t)
	require.InDelta(t, 256<<20, g.metric(t, "websocket_queued_bytes_limit"), 0)
	require.Zero(t, g.metric(t, "websocket_queued_bytes"))
	slow := g.dialTCP(t, "/ws?channel=a")
	quick := g.dial(t, "/ws?channel=a")
	quick.sendUntil(func() bool { return g.metric(t, "websocket_queued_bytes") > 0 })
	require.NoError(t, slow.Close())
	g.awaitMetric(t, 0, "websocket_queued_bytes")
}

// Subscribe commands count against the rate once the client's allowance is used up, also those that fail: each may be a
// request to the backend.
func TestMessageRateLimitCountsFailedSubscriptions(t *testing.T) {
	t.Parallel()
	const channels = 10
	b := newBackend(t)
	b.answer("subscribe", `{"error":{"code":403,"message":"no"}}`)
	g := start(t, b.with("subscribe"), func(cfg *config.Config) {
		cfg.MessageRate, cfg.MaxChannelsPerConnection = burst, channels
	})
	began := time.Now()
	c := g.connect(t)
	c.SetReadLimit(1 << 20)
	var frame []string
	for i := range 100 * channels {
		frame = append(frame, fmt.Sprintf(`{"id":%d,"subscribe":{"channel":"%d"}}`, i+2, i))
	}
	c.text(strings.Join(frame, "\n"))
	c.closed(4008, "message rate")
	g.awaitMetric(t, 1, "websocket_dropped_clients_total", "reason", "rate")
	most := channels + burst*(1+time.Since(began).Seconds())
	calls := g.metric(t, "websocket_hook_calls_total", "hook", "subscribe")
	require.LessOrEqual(t, calls, most)
	require.Positive(t, calls)
}

// A client that is refused for a moment waits for the answer, and gets in when it comes back.
func TestRefusalDelay(t *testing.T) {
	const longest = 2 * time.Second
	g := start(t, func(c *config.Config) { c.MaxConnections, c.RefusalDelay = 1, longest })
	first := g.dial(t, "/ws?channel=a")
	began := time.Now()
	_, response, err := g.tryDial(t, "/ws?channel=a")
	require.Error(t, err)
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.Equal(t, "5", response.Header.Get("Retry-After"))
	require.GreaterOrEqual(t, time.Since(began), longest/2)

	require.NoError(t, first.CloseNow())
	g.awaitMetric(t, 0, "websocket_connections")
	g.dial(t, "/ws?channel=a")
}

// The end of a gateway waits for no refusal that is held back.
func TestRefusalsAreAnsweredWhenTheGatewayEnds(t *testing.T) {
	g := start(t, func(c *config.Config) { c.MaxConnections, c.RefusalDelay, c.DrainTimeout = 1, 10*time.Second, 0 })
	g.dial(t, "/ws?channel=a")
	refused := make(chan int, 1)
	go func() {
		_, response, err := g.tryDial(t, "/ws?channel=a")
		if err == nil || response == nil {
			refused <- 0
			return
		}
		refused <- response.StatusCode
	}()
	g.awaitMetric(t, 1, "websocket_held_refusals")
	began := time.Now()
	g.Terminate("SIGTERM", false)
	require.Equal(t, http.StatusServiceUnavailable, <-refused)
	g.ended(t)
	require.Less(t, time.Since(began), 4*time.Second, "less than the shortest delay")
}
