package centrifuge

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	cf "github.com/centrifugal/protocol"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/brokertest"
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/presence"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// fakeConn is a connection without a network.
type fakeConn struct {
	sent, flushed int
	// spent counts calls of AllowMessage, of which limit are allowed unless it is 0. exceeded is the value of sent at
	// CloseRateLimited.
	spent, limit, exceeded int

	closed []transport.Close
	expiry time.Duration
	stale  transport.Close

	// waits counts calls of WaitWritable, which fails when gone is set.
	waits int
	gone  bool
}

func (c *fakeConn) ID() string                { return "id" }
func (c *fakeConn) UUID() uuid.UUID           { return uuid.UUID{} }
func (c *fakeConn) RemoteIP() netip.Addr      { return netip.Addr{} }
func (c *fakeConn) AllowMessage() bool        { c.spent++; return c.limit == 0 || c.spent <= c.limit }
func (c *fakeConn) CloseRateLimited()         { c.exceeded = c.sent }
func (c *fakeConn) OpenedAt() time.Time       { return time.Time{} }
func (c *fakeConn) QueuedBytes() int          { return 0 }
func (c *fakeConn) Send(transport.Frame) bool { c.sent++; return len(c.closed) == 0 }
func (c *fakeConn) WaitWritable(context.Context) bool {
	c.waits++
	return !c.gone && len(c.closed) == 0
}
func (c *fakeConn) QueueReply(f transport.Frame) bool              { return c.Send(f) }
func (c *fakeConn) SendReply(f transport.Frame) bool               { return c.Send(f) }
func (c *fakeConn) Running(string) bool                            { return false }
func (c *fakeConn) Flush()                                         { c.flushed++ }
func (c *fakeConn) Close(cl transport.Close)                       { c.closed = append(c.closed, cl) }
func (c *fakeConn) StartHeartbeat(*transport.Heartbeat)            {}
func (c *fakeConn) CloseAfter(d time.Duration, cl transport.Close) { c.expiry, c.stale = d, cl }
func (c *fakeConn) Pong() bool                                     { return false }

// Go runs f at once.
func (c *fakeConn) Go(ctx context.Context, _ string, f func(context.Context)) bool {
	f(ctx)
	return true
}

// newHandler returns the handler of a client on a hub of its own.
func newHandler() *client {
	b := memory.New(memory.Options{})
	h := hub.New(hub.Options{Broker: b, Logger: slog.New(slog.DiscardHandler), Rules: channel.Rules{{
		Pattern:   "kept*",
		History:   channel.History{Size: 10, TTL: channel.Duration(time.Minute)},
		Recovery:  true,
		Presence:  true,
		JoinLeave: true,
	}}})
	brokertest.Connect(b, h)
	none, err := hooks.New(hooks.Options{})
	if err != nil {
		panic(err)
	}
	tokens, err := auth.New(auth.Options{})
	if err != nil {
		panic(err)
	}
	log := slog.New(slog.DiscardHandler)
	keeper := presence.New(presence.Options{Broker: b, Hub: h, TTL: time.Minute, Logger: log})
	o := Options{
		ConnectTimeout: 10 * time.Second, MaxCommandBytes: 1 << 16, CommandFailed: func(uint32) {},
		ConnectFailed: func() {},
		Options: protocol.Options{
			Session: session.Options{
				Hub:         h,
				Broker:      b,
				Presence:    keeper,
				Hooks:       none,
				Tokens:      tokens,
				Anonymous:   true,
				MaxChannels: 8,
				Timeout:     time.Second,
				Published:   func(time.Duration, error) {},
			},
			Logger: log,
			Joined: func(context.Context, protocol.Client) error { return nil },
			Left:   func(protocol.Client, transport.Close) {},
		}}
	p := New(o)
	return p.newClient(p.json)
}

func TestClientFlushesAFrameOfSubscriptionsOnce(t *testing.T) {
	conn, c := &fakeConn{}, newHandler()
	c.OnOpen(conn)
	c.OnMessage(t.Context(), transport.Text, []byte(`{"id":1,"connect":{}}`))
	conn.sent, conn.flushed = 0, 0
	c.OnMessage(t.Context(), transport.Text,
		[]byte(`{"id":2,"subscribe":{"channel":"a"}}`+"\n"+`{"id":3,"subscribe":{"channel":"kept"}}`))
	require.Equal(t, 2, conn.sent)
	require.Equal(t, 1, conn.flushed)
	c.OnClose(transport.Close{})
}

func TestClientWithoutConnectGoesStale(t *testing.T) {
	conn, c := &fakeConn{}, newHandler()
	c.OnOpen(conn)
	require.Equal(t, 10*time.Second, conn.expiry)
	require.Equal(t, disconnectStale(), conn.stale)
	c.OnMessage(t.Context(), transport.Text, []byte(`{"id":1,"connect":{}}`))
	require.Zero(t, conn.expiry, "taken back")
	c.OnClose(transport.Close{})
}

// A refused client may try again, in ever shorter time: it must not stay without ever being let in.
func TestClientThatIsRefusedGoesStale(t *testing.T) {
	conn, c := &fakeConn{}, newHandler()
	c.centrifuge.options.Session.Anonymous = false
	c.OnOpen(conn)
	var whole time.Duration
	for i := range 70 {
		c.OnMessage(t.Context(), transport.Text, []byte(`{"id":1,"connect":{}}`))
		require.Empty(t, conn.closed)
		require.Positive(t, conn.expiry, "0 would take it back")
		require.Equal(t, disconnectStale(), conn.stale)
		if i == 0 {
			require.Equal(t, 10*time.Second, conn.expiry)
		}
		whole += conn.expiry
	}
	require.Less(t, whole, 21*time.Second)
	c.OnClose(transport.Close{})
}

// A frame may hold hundreds of commands. Each counts, except for the subscriptions with which SDKs reconnect.
func TestClientCountsEveryCommand(t *testing.T) {
	const ping, subscribe = `{"id":2,"ping":{}}`, `{"id":3,"subscribe":{"channel":"a"}}`
	const last = `{"id":9,"subscribe":{"channel":"last"}}`
	const other = `{"id":4,"subscribe":{"channel":"b"}}`
	for name, c := range map[string]struct {
		frame string
		spent int
	}{
		"one":                              {ping, 1},
		"three":                            {ping + "\n" + ping + "\n" + ping, 3},
		"subscriptions":                    {subscribe + "\n" + other + "\n" + last, 0},
		"mixed":                            {subscribe + "\n" + ping + "\n" + other, 1},
		"as many subscriptions as allowed": {strings.Repeat(subscribe+"\n", 7) + subscribe, 0},
		"more subscriptions":               {strings.Repeat(subscribe+"\n", 9) + subscribe, 2},
	} {
		t.Run(name, func(t *testing.T) {
			conn, c2 := &fakeConn{}, newHandler()
			c2.OnOpen(conn)
			c2.OnMessage(t.Context(), transport.Text, []byte(`{"id":1,"connect":{}}`))
			conn.spent = 0
			c2.OnMessage(t.Context(), transport.Text, []byte(c.frame))
			require.Equal(t, c.spent, conn.spent)
			c2.OnClose(transport.Close{})
		})
	}

	conn, c := &fakeConn{limit: 3}, newHandler()
	c.OnOpen(conn)
	c.OnMessage(t.Context(), transport.Text, []byte(`{"id":1,"connect":{}}`))
	c.OnMessage(t.Context(), transport.Text, []byte(ping+"\n"+ping+"\n"+ping+"\n"+last))
	require.Equal(t, 2, conn.exceeded, "the answers to what was allowed go out first")
	require.Empty(t, conn.closed)
	require.Empty(t, c.Channels(), "nothing after it is done")
	c.OnClose(transport.Close{})
}

// FuzzFrames sends any frame to the handler of a connected client: it answers or disconnects, and leaves no channel
// behind.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{`{"id":2,"subscribe":{"channel":"a"}}`,
		`{"id":2,"publish":{"channel":"a","data":{"x":[1,null]}}}`, `{}`, "{}\n{}", "\n", `null`, `[]`,
		`{"id":2,"ping":{}}` + "\n" + `{"id":3,"unsubscribe":{"channel":"a"}}`, `{"id":4294967296,"ping":{}}`,
		`{"id":2,"rpc":{"data":"\ud800"}}`,
		`{"id":2,"subscribe":{"channel":"a"}}` + "\n" + `{"id":3,"publish":{"channel":"a","data":"b"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		conn, c := &fakeConn{}, newHandler()
		c.OnOpen(conn)
		c.OnMessage(t.Context(), transport.Text, []byte(`{"id":1,"connect":{}}`))
		c.OnMessage(t.Context(), transport.Text, frame)
		for _, cl := range conn.closed {
			require.Contains(t, []int{3500, 3501, 3004}, cl.Code)
		}
		c.OnClose(transport.Close{})
		require.Empty(t, c.Channels())
	})
}

// FuzzProtobufFrames is FuzzFrames for a client that speaks Protobuf.
func FuzzProtobufFrames(f *testing.F) {
	for _, cmd := range []*cf.Command{{},
		{Id: 2, Subscribe: &cf.SubscribeRequest{Channel: "kept", Recover: true, Epoch: "e", Offset: 5}},
		{Id: 2, Publish: &cf.PublishRequest{Channel: "a", Data: []byte{0, 1}}},
		{Id: 3, History: &cf.HistoryRequest{Channel: "kept", Limit: -1, Since: &cf.StreamPosition{Epoch: "x"}}},
		{Id: 4, Rpc: &cf.RPCRequest{Method: methodPublish, Data: []byte("{}")}}, {Send: &cf.SendRequest{}},
		{Id: 5, Refresh: &cf.RefreshRequest{Token: "t"}},
		{Id: 6, SubRefresh: &cf.SubRefreshRequest{Channel: "a", Token: "t"}},
		{Id: 7, Presence: &cf.PresenceRequest{Channel: "kept"}},
	} {
		frame, err := cf.NewProtobufCommandEncoder().Encode(cmd)
		require.NoError(f, err)
		f.Add(frame)
	}
	f.Add([]byte{0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	connect, err := cf.NewProtobufCommandEncoder().Encode(&cf.Command{Id: 1, Connect: &cf.ConnectRequest{}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, frame []byte) {
		conn, c := &fakeConn{}, newHandler()
		c.encoding = c.centrifuge.protobuf
		c.OnOpen(conn)
		c.OnMessage(t.Context(), transport.Binary, connect)
		require.Empty(t, conn.closed)
		c.OnMessage(t.Context(), transport.Binary, frame)
		for _, cl := range conn.closed {
			require.Contains(t, []int{3500, 3501, 3004}, cl.Code)
		}
		c.OnClose(transport.Close{})
		require.Empty(t, c.Channels())
	})
}

// FuzzCommands decodes any frame. What is taken for a command survives being encoded and decoded again, and no frame
// yields more commands than it has lines.
func FuzzCommands(f *testing.F) {
	for _, seed := range []string{
		`{"id":1,"connect":{"token":"t","data":{"a":[1,2]},"subs":{"x":{"recover":true,"offset":5,"epoch":"e"}}}}`,
		`{"id":2,"subscribe":{"channel":"a"}}` + "\n" + `{}`, `{"id":3,"publish":{"channel":"a","data":"\ud83d\udc4b"}}`,
		`{"id":4,"rpc":{"method":"m","data":null}}`, `{"send":{"data":1}}`, "\n\n", "{", `{"id":-1}`, `{"id":1e3}`,
		`{"id":"1"}`, `{"unknown":{}}`, "\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		decode := func(frame []byte) (decoded []*cf.Command, err error) {
			err = newJSON(time.Hour, time.Minute).commands(frame, func(cmd *cf.Command) error {
				decoded = append(decoded, cmd)
				return nil
			})
			return decoded, err
		}
		taken, _ := decode(frame)
		require.LessOrEqual(t, len(taken), 1+bytes.Count(frame, []byte("\n")))
		for _, cmd := range taken {
			encoded, err := cf.NewJSONCommandEncoder().Encode(cmd)
			if err != nil {
				// Invalid JSON in data is found when the data is encoded.
				continue
			}
			again, err := decode(encoded)
			require.NoError(t, err, "%s", encoded)
			require.Len(t, again, 1)
			require.Equal(t, cmd.Id, again[0].Id)
			require.Equal(t, cmd.GetSubscribe().GetChannel(), again[0].GetSubscribe().GetChannel())
			require.Equal(t, cmd.GetPublish().GetChannel(), again[0].GetPublish().GetChannel())
		}
	})
}

func TestCommandsStopAtTheFirstError(t *testing.T) {
	wrong := errors.New("wrong")
	seen := 0
	err := newJSON(time.Hour,
		time.Minute).commands([]byte("{\"id\":1}\n{\"id\":2}\n{\"id\":3}"), func(cmd *cf.Command) error {
		seen++
		if cmd.Id == 2 {
			return wrong
		}
		return nil
	})
	require.ErrorIs(t, err, wrong)
	require.Equal(t, 2, seen)
}

// Frames for a client are held back until the answer to its connect command.
func TestPreConnectBufferHoldsFramesBack(t *testing.T) {
	conn, c := &fakeConn{}, newHandler()
	c.OnOpen(conn)
	c.centrifuge.options.Joined = func(context.Context, protocol.Client) error {
		require.True(t, c.Message([]byte("1"), false))
		require.True(t, c.Message([]byte("2"), false))
		require.Zero(t, conn.sent)
		return nil
	}
	c.OnMessage(t.Context(), transport.Text, []byte(`{"id":1,"connect":{}}`))
	require.Equal(t, 3, conn.sent)
	require.Nil(t, c.preConnect.Load())
	require.True(t, c.Message([]byte("3"), false))
	require.Equal(t, 4, conn.sent)
	c.OnClose(transport.Close{})
}

// Frames that are held back are bounded by number and size.
func TestPreConnectBufferIsBounded(t *testing.T) {
	for name, x := range map[string]struct{ bytes, message, fit int }{
		"messages":        {1 << 20, 1, maxPreConnectFrames},
		"bytes":           {10_000, 1000, 9},
		"no bound, bytes": {0, 10_000, maxPreConnectFrames},
		"one too large":   {1000, 5000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			conn, c := &fakeConn{}, newHandler()
			c.OnOpen(conn)
			c.centrifuge.options.Session.MaxHistoryBytes = x.bytes
			c.centrifuge.options.Joined = func(context.Context, protocol.Client) error {
				message := bytes.Repeat([]byte("1"), x.message)
				for range x.fit {
					require.True(t, c.Message(message, false))
				}
				require.False(t, c.Message(message, false))
				require.Equal(t, []transport.Close{disconnectSlow()}, conn.closed)
				require.Zero(t, conn.sent, "nothing goes ahead of the answer")
				return nil
			}
			c.OnMessage(t.Context(), transport.Text, []byte(`{"id":1,"connect":{}}`))
			c.OnClose(transport.Close{})
		})
	}
}

// The answer to connect holds what the client missed in all server-side subscriptions, up to a bound.
func TestSubscribeServerSideRecoversUpToABound(t *testing.T) {
	conn, c := &fakeConn{}, newHandler()
	o := &c.centrifuge.options.Session
	o.MaxHistoryBytes = 1000
	since := map[string]*cf.SubscribeRequest{}
	for _, name := range []string{"kept1", "kept2", "kept3"} {
		at, err := o.Broker.Publish(t.Context(), name, broker.Publication{Data: []byte("1")},
			broker.PublishOptions{History: o.Hub.Rule(name).History})
		require.NoError(t, err)
		since[name] = &cf.SubscribeRequest{Recover: true, Epoch: at.Epoch, Offset: at.Offset}
		for range 9 {
			p := broker.Publication{
				Data: bytes.Repeat([]byte("1"), 100),
				Info: &broker.ClientInfo{ConnInfo: bytes.Repeat([]byte("1"), 400)},
			}
			_, err := o.Broker.Publish(t.Context(), name, p, broker.PublishOptions{History: o.Hub.Rule(name).History})
			require.NoError(t, err)
		}
	}
	c.OnOpen(conn)
	var result cf.ConnectResult
	channels := []string{"kept1", "kept2", "kept3"}
	c.Session.Bind(uuid.New(), session.Identity{Claims: &auth.Claims{Channels: channels}})
	require.NoError(t, c.subscribeServerSide(t.Context(), channels, since, &result))
	for name, recovered := range map[string]int{"kept1": 9, "kept2": 9, "kept3": 0} {
		sub := result.Subs[name]
		require.True(t, sub.WasRecovering, name)
		require.Equal(t, recovered > 0, sub.Recovered, name)
		require.Len(t, sub.Publications, recovered, name)
	}
	require.Equal(t, uint64(10), result.Subs["kept3"].Offset, "it goes on from here")
	c.OnClose(transport.Close{})
}

// A client that joined leaves once, however far its connect command came.
func TestClientThatJoinedLeavesOnce(t *testing.T) {
	unavailable := errors.New("unavailable")
	for name, c := range map[string]struct {
		frame  string
		joined error
		closed int
		joins  int
		leaves int
	}{
		"connected":            {`{"id":1,"connect":{}}`, nil, 0, 1, 1},
		"never connected":      {``, nil, 3501, 0, 0},
		"connected twice":      {`{"id":1,"connect":{}}` + "\n" + `{"id":2,"connect":{}}`, nil, 3501, 1, 1},
		"bad token":            {`{"id":1,"connect":{"token":"x"}}`, nil, 3500, 0, 0},
		"not taken in":         {`{"id":1,"connect":{}}`, unavailable, 3004, 1, 0},
		"too many of the user": {`{"id":1,"connect":{}}`, registry.ErrTooManyConnections, 4009, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			conn, client := &fakeConn{}, newHandler()
			joins, leaves := 0, 0
			client.centrifuge.options.Joined = func(context.Context, protocol.Client) error { joins++; return c.joined }
			client.centrifuge.options.Left = func(protocol.Client, transport.Close) { leaves++ }
			client.OnOpen(conn)
			client.OnMessage(t.Context(), transport.Text, []byte(c.frame))
			client.OnClose(transport.Close{})
			require.Equal(t, c.joins, joins)
			require.Equal(t, c.leaves, leaves)
			if c.closed == 0 {
				require.Empty(t, conn.closed)
			} else {
				require.Equal(t, c.closed, conn.closed[0].Code)
			}
		})
	}
}

// The connection ends some time after its token, because clients get another token when it has expired.
func TestScheduleExpiry(t *testing.T) {
	conn, c := &fakeConn{}, newHandler()
	c.OnOpen(conn)
	for _, at := range []struct {
		in     time.Duration
		expiry time.Duration
		ttl    uint32
	}{{time.Hour, time.Hour + session.ExpiryGrace, 3600}, {-time.Hour, session.ExpiryGrace, 1},
		{300 * time.Millisecond, 300*time.Millisecond + session.ExpiryGrace, 1}} {
		expires, ttl := c.scheduleExpiry(time.Now().Add(at.in))
		require.True(t, expires)
		require.Equal(t, at.ttl, ttl)
		require.InDelta(t, at.expiry.Seconds(), conn.expiry.Seconds(), 1)
		require.Equal(t, disconnectExpired(), conn.stale)
	}
	expires, ttl := c.scheduleExpiry(time.Time{})
	require.False(t, expires)
	require.Zero(t, ttl)
	require.Zero(t, conn.expiry)
	c.OnClose(transport.Close{})
}

// knownTokens accepts every token as that of the user with its text as name.
type knownTokens struct{ session.Tokens }

func (knownTokens) Connection(_ context.Context, token string) (*auth.Claims, error) {
	return &auth.Claims{User: token, IssuedAt: time.Now().Add(-time.Minute)}, nil
}

// disconnectingTokens ends the connection while a subscription token is verified.
type disconnectingTokens struct {
	session.Tokens
	disconnect func()
}

func (k disconnectingTokens) Subscription(context.Context, string, string, string) (*auth.SubscriptionClaims, error) {
	k.disconnect()
	return nil, auth.ErrUnavailable
}

// A subscription that the end of the connection ended is neither answered nor counted as a failed command.
func TestSubscribeEndedByDisconnect(t *testing.T) {
	conn, c := &fakeConn{}, newHandler()
	ctx, cancel := context.WithCancel(t.Context())
	options := &c.centrifuge.options
	options.Session.Tokens = disconnectingTokens{disconnect: cancel}
	options.CommandFailed = func(code uint32) { t.Error("counted", code) }
	c.OnOpen(conn)
	c.OnMessage(ctx, transport.Text, []byte(`{"id":1,"connect":{}}`))
	conn.sent = 0
	c.OnMessage(ctx, transport.Text, []byte(`{"id":2,"subscribe":{"channel":"a","token":"t"}}`+"\n"+`{"id":3,"ping":{}}`))
	require.Zero(t, conn.sent)
	require.Empty(t, conn.closed)
	c.OnClose(transport.Close{})
}

// The operator must notice when gateways of a new version let no client in.
func TestConnectsThatFailAreCounted(t *testing.T) {
	const connect = `{"id":1,"connect":{"token":"t"}}`
	joinFails := func(err error) func(*Options, func()) {
		return func(o *Options, _ func()) {
			o.Session.Tokens = nil
			o.Joined = func(context.Context, protocol.Client) error { return err }
		}
	}
	for name, c := range map[string]struct {
		command string
		change  func(*Options, func())
		want    int
	}{
		"connected":            {`{"id":1,"connect":{}}`, func(*Options, func()) {}, 0},
		"an invalid token":     {connect, func(*Options, func()) {}, 1},
		"two of them":          {connect + "\n" + `{"id":2,"connect":{"token":"u"}}`, func(*Options, func()) {}, 1},
		"no anonymous ones":    {`{"id":1,"connect":{}}`, func(o *Options, _ func()) { o.Session.Anonymous = false }, 1},
		"not registered":       {`{"id":1,"connect":{}}`, joinFails(broker.ErrUnavailable), 1},
		"too many of its user": {`{"id":1,"connect":{}}`, joinFails(registry.ErrTooManyConnections), 0},
		"gone meanwhile": {`{"id":1,"connect":{}}`, func(o *Options, leave func()) {
			o.Joined = func(ctx context.Context, _ protocol.Client) error { leave(); return ctx.Err() }
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			client, got := newHandler(), 0
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c.change(&client.centrifuge.options, cancel)
			client.centrifuge.options.ConnectFailed = func() { got++ }
			client.OnOpen(&fakeConn{})
			client.OnMessage(ctx, transport.Text, []byte(c.command))
			client.OnClose(transport.Close{})
			require.Equal(t, c.want, got)
		})
	}
}

// A token may be revoked after it was verified, and before the revocation can find its client.
func TestConnectRefusesTokensRevokedMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		revoked string
		at      time.Duration
		closed  []transport.Close
	}{
		"its user's":    {"ann", 0, []transport.Close{disconnectInvalidToken()}},
		"another's":     {"bob", 0, nil},
		"an older ones": {"ann", -time.Hour, nil},
	} {
		t.Run(name, func(t *testing.T) {
			conn, client := &fakeConn{}, newHandler()
			options := &client.centrifuge.options
			options.Session.Tokens = knownTokens{}
			revocations, ok := options.Session.Broker.(broker.Revocations)
			require.True(t, ok)
			joins, leaves := 0, 0
			options.Joined = func(ctx context.Context, _ protocol.Client) error {
				joins++
				return revocations.Revoke(ctx, c.revoked, time.Now().Add(c.at))
			}
			options.Left = func(protocol.Client, transport.Close) { leaves++ }
			client.OnOpen(conn)
			client.OnMessage(t.Context(), transport.Text, []byte(`{"id":1,"connect":{"token":"ann"}}`))
			require.Equal(t, c.closed, conn.closed)
			require.Equal(t, len(c.closed) == 0, conn.sent > 0, "it is answered")
			require.Zero(t, leaves)
			client.OnClose(transport.Close{})
			require.Equal(t, 1, joins)
			require.Equal(t, 1, leaves)
		})
	}
}

// Large answers wait until the client has read what it has, and are not made for a client that is gone.
func TestClientWaitsBeforeLargeAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		frame string
		waits int
	}{
		"small": {
			`{"id":2,"ping":{}}` + "\n" + `{"id":3,"subscribe":{"channel":"a"}}` + "\n" +
				`{"id":4,"presence_stats":{"channel":"kept"}}`,
			0},
		"history": {
			`{"id":2,"history":{"channel":"kept","limit":1}}` + "\n" +
				`{"id":3,"history":{"channel":"kept","limit":-1}}`,
			2},
		"presence": {`{"id":2,"presence":{"channel":"kept"}}`, 1},
		"recovery": {
			`{"id":2,"subscribe":{"channel":"kept","recover":true}}` + "\n" +
				`{"id":3,"subscribe":{"channel":"kept2","recover":true}}`,
			2},
		"beginning": {`{"id":2,"subscribe":{"channel":"kept"}}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			conn, client := &fakeConn{}, newHandler()
			client.OnOpen(conn)
			client.OnMessage(t.Context(), transport.Text, []byte(`{"id":1,"connect":{}}`))
			require.Equal(t, 1, conn.waits, "frames that were held back follow the answer to connect")
			conn.waits = 0
			client.OnMessage(t.Context(), transport.Text, []byte(c.frame))
			require.Equal(t, c.waits, conn.waits)
			require.Empty(t, conn.closed)

			conn.gone, conn.sent = true, 0
			client.OnMessage(t.Context(), transport.Text, []byte(c.frame))
			require.Equal(t, c.waits > 0, conn.sent == 0)
			require.Empty(t, conn.closed, "it ends by itself")
			client.OnClose(transport.Close{})
		})
	}
}
