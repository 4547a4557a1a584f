package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/channel"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

// received returns the next publication that a connection gets.
func received(t *testing.T, conn *wsclient.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	text, err := conn.Receive(ctx)
	require.NoError(t, err)
	return text
}

// withHistory gives all channels a history.
func withHistory(cfg *config.Config) {
	cfg.Channels = channel.Rules{{Pattern: "*", History: channel.History{Size: 100, TTL: channel.Duration(testTimeout)}}}
}

func TestPublishReachesTheSubscribers(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	conn := connectAs(t, api.putGateway("chat", "chat-gateway-1"), "alice", "news")
	const data = `{"title":"a < b & c"}`
	r := succeed(t, plugin(t, api, "publish", "news", data))
	assert.Equal(t, "published to news, which has no history\n", r.stdout)
	assert.True(t, received(t, conn) == data, "as it was given, to the byte")

	cmd := plugin(t, api, "publish", "chat", "news", "-")
	cmd.Stdin = strings.NewReader("[1,2]\n")
	succeed(t, cmd)
	assert.Equal(t, "[1,2]", received(t, conn))
}

func TestPublishSaysWhereThePublicationIs(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	api.putGateway("chat", "chat-gateway-1", withHistory)
	out := succeed(t, plugin(t, api, "publish", "news", "1")).stdout
	assert.Contains(t, out, "published to news at offset 1 of epoch ")
	var published fleetview.Published
	out = succeed(t, plugin(t, api, "publish", "news", "2", "-o", "json")).stdout
	require.NoError(t, json.Unmarshal([]byte(out), &published))
	assert.NotEmpty(t, published.Epoch)
	published.Epoch = ""
	assert.Equal(t, fleetview.Published{
		Kind: "Published", Namespace: "default", Fleet: "chat", Channel: "news", Offset: 2, Gateways: 1,
	}, published)
}

func TestPublishReachesEachGatewayWithoutABackplane(t *testing.T) {
	t.Parallel()
	u := startUsers(t, withHistory)
	out := succeed(t, plugin(t, u.fakeAPI, "publish", "news", "1")).stdout
	assert.Equal(t, "published to news on each of 2 gateways, which have no backplane\n", out)
	assert.Equal(t, "1", received(t, u.bob))
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	u := startUsers(t, func(cfg *config.Config) { cfg.MaxMessageBytes = 100 })
	for name, c := range map[string]struct {
		args  []string
		stdin string
		code  int
		want  string
	}{
		"no data":       {args: []string{"news"}, code: exitUsage, want: "name a channel and give data"},
		"too many":      {args: []string{"a", "b", "1", "2"}, code: exitUsage, want: "name a channel and give data"},
		"no JSON":       {args: []string{"news", "hello"}, code: exitUsage, want: "DATA is not JSON: byte 1: invalid"},
		"half a JSON":   {args: []string{"news", `{"a":`}, code: exitUsage, want: "DATA is not JSON: byte 5: unexpected end"},
		"empty":         {args: []string{"news", ""}, code: exitUsage, want: "DATA is not JSON"},
		"no JSON piped": {args: []string{"news", "-"}, stdin: "hi", code: exitFailed, want: "standard input is not JSON"},
		"no channel":    {args: []string{"", "1"}, code: exitFailed, want: "answered 400 Bad Request: channel: "},
		"too large": {args: []string{"news", `"` + strings.Repeat("x", 100) + `"`}, code: exitFailed,
			want: "message too large: max-message-bytes is 100"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := plugin(t, u.fakeAPI, append([]string{"publish"}, c.args...)...)
			cmd.Stdin = strings.NewReader(c.stdin)
			r := run(cmd)
			assert.Equal(t, c.code, r.code)
			assert.Contains(t, r.stderr, c.want)
			assert.Empty(t, r.stdout)
		})
	}
}
