package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
)

const path = "/connection/websocket"

// connect returns an anonymous client that uses the JSON protocol and has sent its connect command.
func (r *testGateway) connect(t *testing.T) *client {
	t.Helper()
	c := r.dial(t, path)
	c.text(`{"id":1,"connect":{}}`)
	_, reply, err := c.read()
	require.NoError(t, err)
	require.Contains(t, reply, `"connect":{`)
	return c
}

func TestCentrifugeConnectReply(t *testing.T) {
	t.Parallel()
	g := start(t)
	c := g.dial(t, path, &websocket.DialOptions{Subprotocols: []string{"centrifuge-json"}})
	require.Equal(t, "centrifuge-json", c.Subprotocol())
	c.text(`{"id":7,"connect":{"name":"js","data":{"a":1}}}`)
	_, data, err := c.read()
	require.NoError(t, err)
	var reply struct {
		ID      int `json:"id"`
		Connect struct {
			Client, Version, Node string
			Ping                  int
			Pong                  bool
		} `json:"connect"`
	}
	require.NoError(t, json.Unmarshal([]byte(data), &reply))
	require.Equal(t, 7, reply.ID)
	require.NoError(t, uuid.Validate(reply.Connect.Client))
	require.Equal(t, "v0.0.0-test", reply.Connect.Version)
	require.Equal(t, "node-1", reply.Connect.Node)
	require.Equal(t, int(pingInterval.Seconds()), reply.Connect.Ping)
	require.True(t, reply.Connect.Pong)
}

func TestCentrifugeCommandsAndReplies(t *testing.T) {
	t.Parallel()
	g := start(t, func(cfg *config.Config) { cfg.MaxChannelsPerConnection = 2 })
	c := g.connect(t)
	long := strings.Repeat("c", 256)
	for _, step := range []struct{ send, want string }{
		{`{"id":2,"publish":{"channel":"a","data":{}}}`,
			`{"id":2,"error":{"code":103,"message":"only subscribers may do that in this channel"}}`},
		{`{"id":3,"subscribe":{"channel":"a"}}`, `{"id":3,"subscribe":{}}`},
		{`{"id":4,"subscribe":{"channel":"a"}}`, `{"id":4,"error":{"code":105,"message":"already subscribed"}}`},
		{`{"id":5,"subscribe":{"channel":"` + long + `"}}`,
			`{"id":5,"error":{"code":107,"message":"channel name must be 1 to 255 bytes of UTF-8 without control characters"}}`},
		{`{"id":6,"subscribe":{"channel":"a\u0000"}}`,
			`{"id":6,"error":{"code":107,"message":"channel name must be 1 to 255 bytes of UTF-8 without control characters"}}`},
		{`{"id":7,"subscribe":{"channel":"b"}}`, `{"id":7,"subscribe":{}}`},
		{`{"id":8,"subscribe":{"channel":"c"}}`,
			`{"id":8,"error":{"code":106,"message":"too many channels on one connection: the limit is 2"}}`},
		{`{"id":9,"unsubscribe":{"channel":"b"}}`, `{"id":9,"unsubscribe":{}}`},
		{`{"id":10,"unsubscribe":{"channel":"never"}}`, `{"id":10,"unsubscribe":{}}`},
		{`{"id":11,"subscribe":{"channel":"c"}}`, `{"id":11,"subscribe":{}}`},
		{`{"id":12,"publish":{"channel":"c"}}`, `{"id":12,"error":{"code":107,"message":"data is missing"}}`},
		{`{"id":13,"ping":{}}`, `{"id":13,"ping":{}}`},
		{`{"id":14,"presence":{"channel":"a"}}`,
			`{"id":14,"error":{"code":108,"message":"not available in this channel: its rule does not say so"}}`},
		{`{"id":15,"presence_stats":{"channel":"a"}}`,
			`{"id":15,"error":{"code":108,"message":"not available in this channel: its rule does not say so"}}`},
		{`{"id":16,"history":{"channel":"a"}}`,
			`{"id":16,"error":{"code":108,"message":"not available in this channel: its rule does not say so"}}`},
		{`{"id":17,"rpc":{"method":"x"}}`, `{"id":17,"error":{"code":108,"message":"not available on this gateway"}}`},
		{`{"id":20,"subscribe":{"channel":"m","type":1}}`,
			`{"id":20,"error":{"code":108,"message":"not available on this gateway"}}`},
		{`{"id":21,"publish":{"channel":"a","type":1,"key":"k","data":{}}}`,
			`{"id":21,"error":{"code":108,"message":"not available on this gateway"}}`},
		{`{"send":{"data":{}}}` + "\n" + `{"id":22,"ping":{}}`, `{"id":22,"ping":{}}`},
	} {
		c.text(step.send)
		c.expect(step.want)
	}
	g.awaitMetric(t, 7, "websocket_command_errors_total", "code", "108")
	g.awaitMetric(t, 1, "websocket_command_errors_total", "code", "103")
}

func TestCentrifugeFrameHoldsSeveralCommands(t *testing.T) {
	t.Parallel()
	g := start(t)
	c := g.dial(t, path)
	c.text(`{"id":1,"connect":{}}` + "\n" +
		`{"id":2,"subscribe":{"channel":"a"}}` + "\n" +
		`{"id":3,"ping":{}}` + "\n" +
		`{"id":4,"unsubscribe":{"channel":"a"}}` + "\n")
	var got []string
	for len(got) < 4 {
		_, data, err := c.read()
		require.NoError(t, err)
		got = append(got, strings.Split(data, "\n")...)
	}
	require.Contains(t, got[0], `"id":1,"connect"`)
	require.Equal(t, []string{`{"id":2,"subscribe":{}}`, `{"id":3,"ping":{}}`, `{"id":4,"unsubscribe":{}}`}, got[1:])
}

// expectPublished reads the push of a publication by a client without a user, whose id stands in it.
func (c *client) expectPublished(channel, data string) {
	c.t.Helper()
	_, frame, err := c.read()
	require.NoError(c.t, err)
	var got struct {
		Push struct {
			Channel string
			Pub     struct {
				Data json.RawMessage
				Info map[string]string
			}
		}
	}
	require.NoError(c.t, json.Unmarshal([]byte(frame), &got), frame)
	require.Equal(c.t, channel, got.Push.Channel, frame)
	require.Equal(c.t, data, string(got.Push.Pub.Data), frame)
	require.NotEmpty(c.t, got.Push.Pub.Info["client"], frame)
	require.Empty(c.t, got.Push.Pub.Info["user"], frame)
	require.Len(c.t, got.Push.Pub.Info, 2, frame)
}

func TestProtocolsShareChannels(t *testing.T) {
	t.Parallel()
	g := start(t)
	c, other := g.connect(t), g.connect(t)
	plain := g.dial(t, "/ws?channel=lobby")
	for _, client := range []*client{c, other} {
		client.text(`{"id":2,"subscribe":{"channel":"lobby"}}`)
		client.expect(`{"id":2,"subscribe":{}}`)
	}
	c.text(`{"id":3,"publish":{"channel":"lobby","data":{"text":"hi"}}}`)
	plain.expect(`{"text":"hi"}`)
	other.expectPublished("lobby", `{"text":"hi"}`)
	c.expectPublished("lobby", `{"text":"hi"}`)
	c.expect(`{"id":3,"publish":{}}`)

	for in, out := range map[string]string{
		`[1,2]`:   `[1,2]`,
		`hello "`: `"hello \""`,
		"{\n}":    `{}`,
		``:        `""`,
	} {
		plain.text(in)
		other.expectPublished("lobby", out)
	}
	plain.send(websocket.MessageBinary, "\x00\xff")
	other.expectPublished("lobby", `"AP8="`)
}

// The close codes tell SDKs not to reconnect with the same command.
func TestCentrifugeProtocolViolationsDisconnect(t *testing.T) {
	t.Parallel()
	g := start(t)
	neighbour := g.connect(t)
	for name, send := range map[string]string{
		"no JSON":                     `hello`,
		"empty":                       ``,
		"half a command":              `{"id":2,"subscribe":{"channel":`,
		"wrong type":                  `{"id":"two","ping":{}}`,
		"unknown command":             `{"id":2,"dance":{}}`,
		"no command":                  `{"id":2}`,
		"no id":                       `{"subscribe":{"channel":"a"}}`,
		"negative id":                 `{"id":-1,"ping":{}}`,
		"second connect":              `{"id":2,"connect":{}}`,
		"pong without ping":           `{}`,
		"subscribe without channel":   `{"id":2,"subscribe":{}}`,
		"unsubscribe without channel": `{"id":2,"unsubscribe":{}}`,
		"publish without channel":     `{"id":2,"publish":{"data":{}}}`,
		"garbage after a command":     `{"id":2,"ping":{}}` + "\n" + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := g.connect(t)
			c.text(send)
			c.closed(3501, "bad request")
		})
	}
	for name, send := range map[string]string{
		"subscribe first":    `{"id":1,"subscribe":{"channel":"a"}}`,
		"pong first":         `{}`,
		"connect without id": `{"connect":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := g.dial(t, path)
			c.text(send)
			c.closed(3501, "bad request")
		})
	}
	// A binary frame is not checked for UTF-8, so its content must not reach other clients in a text frame.
	binary := g.connect(t)
	binary.send(websocket.MessageBinary, `{"id":2,"subscribe":{"channel":"a"}}`)
	binary.expect(`{"id":2,"subscribe":{}}`)
	binary.send(websocket.MessageBinary, `{"id":3,"publish":{"channel":"a","data":"`+"\xff"+`"}}`)
	binary.closed(3501, "bad request")
	neighbour.text(`{"id":2,"ping":{}}`)
	neighbour.expect(`{"id":2,"ping":{}}`)
	g.awaitMetric(t, 18, "websocket_closed_total", "protocol", "centrifuge", "code", "3501")
}

func TestCentrifugePings(t *testing.T) {
	t.Parallel()
	g := start(t, func(cfg *config.Config) {
		cfg.PingInterval, cfg.PongTimeout = 2*time.Second, 1800*time.Millisecond
	})
	silent := g.connect(t)
	silent.expect(`{}`)
	silent.closed(3012, "no pong")
	answering := g.connect(t)
	for range 3 {
		answering.expect(`{}`)
		answering.text(`{}`)
	}
	g.awaitMetric(t, 1, "websocket_dropped_clients_total", "reason", "heartbeat")
	answering.text(`{"id":2,"ping":{}}`)
	answering.expect(`{"id":2,"ping":{}}`)
}

// A client may ask for the pings of WebSocket, which its library answers. It gets none of the protocol's.
func TestCentrifugePingsInFrames(t *testing.T) {
	t.Parallel()
	g := start(t, func(cfg *config.Config) {
		cfg.PingInterval, cfg.PongTimeout = 2*time.Second, 1800*time.Millisecond
	})
	silent := g.dialTCP(t, "/connection/websocket?cf_ws_frame_ping_pong=true")
	silent.write(masked(0x81, `{"id":1,"connect":{}}`))
	_, reply := silent.frame()
	require.NotContains(t, string(reply), `"ping"`, "the client must not expect the protocol's")
	first, payload := silent.frame()
	require.Equal(t, byte(0x89), first)
	silent.write(masked(0x8a, string(payload)))
	first, _ = silent.frame()
	require.Equal(t, byte(0x89), first, "another, because the first was answered")
	silent.expectClose(3012)

	for _, query := range []string{"?cf_ws_frame_ping_pong=false", "?cf_ws_frame_ping_pong", ""} {
		usual := g.dial(t, "/connection/websocket"+query)
		usual.text(`{"id":1,"connect":{}}`)
		_, reply, err := usual.read()
		require.NoError(t, err)
		require.Contains(t, reply, `"ping":2,"pong":true`)
		usual.expect("{}")
	}
}

func TestCentrifugeSlowClientGetsACloseFrame(t *testing.T) {
	t.Parallel()
	// The client reads everything that is in the sockets' buffers before it reads the close frame.
	g := startWithCloseTimeout(t, waitTimeout, func(cfg *config.Config) { cfg.MaxQueuedBytes = 128 << 10 })
	slow := g.connect(t)
	slow.text(`{"id":2,"subscribe":{"channel":"a"}}`)
	slow.expect(`{"id":2,"subscribe":{}}`)
	slow.SetReadLimit(1 << 20)
	quick := g.dial(t, "/ws?channel=a")
	quick.sendUntil(func() bool { return g.metric(t, "websocket_dropped_clients_total", "reason", "slow") > 0 })
	slow.closed(3008, "slow")
}
