package gateway_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
)

// masked returns a frame as clients send it (RFC 6455 section 5.2), with a mask of zeros.
func masked(first byte, payload string) string {
	if len(payload) > 125 {
		return string([]byte{first, 0x80 | 126, byte(len(payload) >> 8), byte(len(payload))}) + "\x00\x00\x00\x00" + payload
	}
	return string([]byte{first, 0x80 | byte(len(payload))}) + "\x00\x00\x00\x00" + payload
}

// A broken frame closes its connection with the code of RFC 6455 section 7.4.1. Other connections stay open.
func TestFramesThatAreBrokenCloseTheConnection(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		bytes string
		code  int
	}{
		"not masked":               {"\x81\x01a", 1002},
		"reserved bit":             {masked(0xC1, "a"), 1002},
		"reserved opcode":          {masked(0x83, "a"), 1002},
		"reserved control opcode":  {masked(0x8B, ""), 1002},
		"continuation of nothing":  {masked(0x80, "a"), 1002},
		"message in a message":     {masked(0x01, "a") + masked(0x81, "b"), 1002},
		"fragmented ping":          {masked(0x09, ""), 1002},
		"long ping":                {masked(0x89, strings.Repeat("p", 126)), 1002},
		"close with a bad code":    {masked(0x88, "\x03\xed"), 1002},
		"close with half a code":   {masked(0x88, "\x03"), 1002},
		"close that is no text":    {masked(0x88, "\x03\xe8\xff"), 1007},
		"text that is no text":     {masked(0x81, "\xff\xfe"), 1007},
		"message too large":        {masked(0x81, strings.Repeat("x", 2000)), 1009},
		"fragments too large":      {masked(0x01, strings.Repeat("x", 600)) + masked(0x80, strings.Repeat("x", 600)), 1009},
		"huge length":              {"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", 1009},
		"impossible length":        {"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", 1002},
		"length in too many bytes": {"\x82\xfe\x00\x05\x00\x00\x00\x00hello", 1002},
		"length in far too many":   {"\x82\xff\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00hello", 1002},
	}
	g := start(t, func(cfg *config.Config) { cfg.MaxMessageBytes = 1000 })
	neighbour := g.dial(t, "/ws?channel=neighbour")
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			raw := g.dialTCP(t, "/ws?channel=a")
			raw.write(c.bytes)
			// The gateway does not parse what comes after the broken frame. It must not reset the connection.
			raw.write(masked(0x82, strings.Repeat("y", 3000)))
			first, payload := raw.frame()
			require.Equal(t, byte(0x88), first)
			require.Equal(t, c.code, int(payload[0])<<8|int(payload[1]), string(payload[2:]))
			_, err := raw.in.ReadByte()
			require.ErrorIs(t, err, io.EOF, "the gateway says nothing after its close, and says so")
		})
	}
	neighbour.text("still here")
	neighbour.expect("still here")
	g.awaitMetric(t, 2, "websocket_closed_total", "code", "1007")
	g.awaitMetric(t, 3, "websocket_closed_total", "code", "1009")
	g.awaitMetric(t, 13, "websocket_closed_total", "code", "1002")
}

func TestFramesFragmentedWithControlFramesBetween(t *testing.T) {
	t.Parallel()
	g := start(t)
	raw := g.dialTCP(t, "/ws?channel=a")
	raw.write(masked(0x01, "hel") + masked(0x89, "ping") + masked(0x80, "lo"))
	first, payload := raw.frame()
	require.Equal(t, "\x8aping", string([]byte{first})+string(payload), "the pong comes first")
	first, payload = raw.frame()
	require.Equal(t, "\x81hello", string([]byte{first})+string(payload))
	raw.write(masked(0x88, "\x03\xe8bye"))
	raw.expectClose(1000)
}

func TestFramesUpToTheMaximumSizePass(t *testing.T) {
	t.Parallel()
	g := start(t)
	c := g.dial(t, "/ws?channel=a")
	c.SetReadLimit(1 << 20)
	message := strings.Repeat("x", 64<<10)
	c.text(message)
	c.expect(message)
	c.text(message + "x")
	c.closed(1009, "limit")
}

func TestSlowClientIsDisconnectedWithoutDelayingOthers(t *testing.T) {
	t.Parallel()
	g := start(t, func(cfg *config.Config) { cfg.MaxQueuedBytes = 256 << 10 })
	slow := g.dialTCP(t, "/ws?channel=a")
	quick := g.dial(t, "/ws?channel=a")
	quick.sendUntil(func() bool { return g.metric(t, "websocket_dropped_clients_total", "reason", "slow") > 0 })
	g.awaitMetric(t, 1, "websocket_connections")
	require.Contains(t, g.log.String(), "client dropped")
	g.awaitMetric(t, 1, "websocket_closed_total", "code", "1008")
	_ = slow
}

func TestHeartbeatDisconnectsDeadClients(t *testing.T) {
	t.Parallel()
	g := start(t, func(cfg *config.Config) {
		cfg.PingInterval, cfg.PongTimeout = 2*time.Second, 1800*time.Millisecond
	})
	alive := g.dial(t, "/ws?channel=a")
	dead := g.dialTCP(t, "/ws?channel=a")
	ended := make(chan error, 1)
	go func() {
		// A read whose context ends closes the connection, so this one has the context of the test.
		_, _, err := alive.Read(t.Context())
		ended <- err
	}()
	first, _ := dead.frame()
	require.Equal(t, byte(0x89), first, "a ping")
	first, payload := dead.frame()
	require.Equal(t, byte(0x88), first)
	require.Equal(t, "no pong", string(payload[2:]))
	g.awaitMetric(t, 1, "websocket_dropped_clients_total", "reason", "heartbeat")
	g.awaitMetric(t, 1, "websocket_connections")
	require.Contains(t, g.log.String(), "reason=heartbeat")

	answering := g.dialTCP(t, "/ws?channel=a")
	for range 3 {
		first, _ := answering.frame()
		require.Equal(t, byte(0x89), first, "only pings as long as they are answered")
		answering.write(masked(0x8a, ""))
	}
	require.Empty(t, ended, "a client that answers stays")
	require.NoError(t, alive.Close(websocket.StatusNormalClosure, ""))
	require.Error(t, <-ended)
}
