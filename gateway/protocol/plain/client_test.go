package plain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/brokertest"
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/channel"
	"github.com/wsfleet/wsfleet/internal/recovery"
)

// fakeConn is a connection without a network.
type fakeConn struct {
	transport.Conn
	sent   int
	closed []transport.Close
	expiry time.Duration
}

func (c *fakeConn) ID() string                                    { return "id" }
func (c *fakeConn) UUID() uuid.UUID                               { return uuid.UUID{} }
func (c *fakeConn) RemoteIP() netip.Addr                          { return netip.Addr{} }
func (c *fakeConn) Send(transport.Frame) bool                     { c.sent++; return true }
func (c *fakeConn) Close(cl transport.Close)                      { c.closed = append(c.closed, cl) }
func (c *fakeConn) CloseAfter(d time.Duration, _ transport.Close) { c.expiry = d }
func (c *fakeConn) StartHeartbeat(*transport.Heartbeat)           {}

// faulty is a presence that may fail, and knows how many are there.
type faulty struct {
	err   error
	there int
}

func (f *faulty) Join(context.Context, string, broker.ClientInfo) (settle func(begun bool), err error) {
	if f.err != nil {
		return nil, f.err
	}
	f.there++
	return func(begun bool) {
		if !begun {
			f.there--
		}
	}, nil
}

func (f *faulty) Leave(string, broker.ClientInfo, bool) { f.there-- }

// plain is the protocol on a hub of its own, where channels that begin with "seen:" have presence.
func plain(t *testing.T) (*Plain, *hub.Hub, *faulty) {
	t.Helper()
	b := &buggy{Broker: memory.New(memory.Options{})}
	h := hub.New(hub.Options{Broker: b, Logger: slog.New(slog.DiscardHandler), Rules: channel.Rules{{Pattern: "seen:*", Presence: true}, {Pattern: "closed:*", Subscribe: channel.SubscribeToken}}})
	brokertest.Connect(b, h)
	none, err := hooks.New(hooks.Options{})
	require.NoError(t, err)
	tokens, err := auth.New(auth.Options{})
	require.NoError(t, err)
	presence := &faulty{}
	return New(protocol.Options{
		Session: session.Options{
			Hub: h, Broker: b, Presence: presence, Hooks: none, Tokens: tokens, Anonymous: true, MaxChannels: 4, Timeout: time.Second, Published: func(time.Duration, error) {},
		},
		Logger: slog.New(slog.DiscardHandler),
		Joined: func(context.Context, protocol.Client) error { return nil },
		Left:   func(protocol.Client, transport.Close) {},
	}), h, presence
}

func accept(t *testing.T, p *Plain, query string) *client {
	t.Helper()
	handler, err := p.accept(httptest.NewRequest(http.MethodGet, "/ws?"+query, nil))
	require.NoError(t, err)
	return handler.(*client)
}

func subscribers(h *hub.Hub) (n int) {
	h.CountSubscribers(func(_ string, members int) { n += members })
	return n
}

// Whatever went wrong while it opened, who joined leaves once and nothing stays behind.
func TestOpeningAndItsEnd(t *testing.T) {
	down := errors.New("down")
	for name, c := range map[string]struct {
		joined, presence error
		meanwhile        func(c *client)
		code             int
		left             int
	}{
		"opens":                            {left: 1},
		"the directory is away":            {joined: down, code: transport.CodeTryAgainLater},
		"too many of the user":             {joined: registry.ErrTooManyConnections, code: transport.CodePolicy},
		"it cannot be made present":        {presence: down, code: transport.CodeTryAgainLater, left: 1},
		"the backend takes a channel back": {meanwhile: func(c *client) { c.Unsubscribe("seen:a") }, left: 1},
		"the backend gives it what it wants": {meanwhile: func(c *client) {
			_ = c.Subscribe(context.Background(), protocol.Subscription{Channel: "seen:a"})
		}, left: 1},
	} {
		t.Run(name, func(t *testing.T) {
			p, h, presence := plain(t)
			left := 0
			presence.err = c.presence
			var opening *client
			p.options.Joined = func(context.Context, protocol.Client) error {
				if c.meanwhile != nil {
					c.meanwhile(opening)
				}
				return c.joined
			}
			p.options.Left = func(protocol.Client, transport.Close) { left++ }
			opening = accept(t, p, "channel=seen:a&channel=b")
			require.Zero(t, subscribers(h), "nobody is there yet")
			conn := &fakeConn{}
			opening.OnOpen(conn)
			if c.code == 0 {
				require.Empty(t, conn.closed)
				require.NotZero(t, subscribers(h))
			} else {
				require.Equal(t, c.code, conn.closed[0].Code)
			}
			opening.OnClose(transport.Close{})
			require.Equal(t, c.left, left)
			require.Zero(t, subscribers(h))
			if c.presence == nil {
				require.Zero(t, presence.there)
			}
		})
	}
}

func TestWhoNeverOpensWasNeverThere(t *testing.T) {
	p, h, presence := plain(t)
	p.options.Left = func(protocol.Client, transport.Close) { t.Error("left") }
	c := accept(t, p, "channel=seen:a")
	require.Equal(t, 1, h.Channels())
	c.OnClose(transport.Close{})
	require.Zero(t, presence.there)
	require.Empty(t, c.Channels())

	_, err := p.accept(httptest.NewRequest(http.MethodGet, "/ws?channel=seen:a&channel=closed:a", nil))
	require.Error(t, err)
	require.Zero(t, subscribers(h))
}

// What is wrong with a handshake is said in HTTP, without anything that is a secret.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		reason string
		retry  bool
	}{
		{session.ErrChannelName, 400, "bad_request", false},
		{fmt.Errorf("%w: the limit is 4", session.ErrTooManyChannels), 400, "channel_limit", false},
		{fmt.Errorf("%w: secret", session.ErrInvalidToken), 401, "token", false},
		{session.ErrExpiredToken, 401, "token", false},
		{session.ErrUnauthorized, 401, "token", false},
		{session.ErrNotAllowed, 403, "permission", false},
		{&hooks.Error{Code: 403, Message: "not yours"}, 403, "hook", false},
		{&hooks.Disconnect{Code: 4001, Reason: "banned"}, 403, "hook", false},
		{fmt.Errorf("%w: secret", hooks.ErrDown), 503, "hook", true},
		{fmt.Errorf("%w: secret", auth.ErrUnavailable), 503, "hook", true},
		{session.ErrInfoTooLarge, 503, "hook", true},
		{fmt.Errorf("%w: secret", broker.ErrUnavailable), 503, "broker", true},
		{errors.New("secret"), 503, "broker", true},
		{recovery.ErrPanic, 500, "internal", false},
		{bad("what"), 400, "bad_request", false},
	} {
		got := refusal(c.err)
		require.Equal(t, c.status, got.Status, c.err)
		require.Equal(t, c.reason, got.Reason, c.err)
		require.Equal(t, c.retry, got.RetryAfter > 0, c.err)
		require.NotContains(t, got.Message, "secret")
	}
}

func TestTheTimeOfAConnection(t *testing.T) {
	p, _, _ := plain(t)
	c := accept(t, p, "channel=a")
	conn := &fakeConn{}
	c.OnOpen(conn)
	require.Zero(t, conn.expiry)
	c.Refresh(time.Now().Add(time.Hour), false)
	require.InDelta(t, time.Hour.Seconds(), conn.expiry.Seconds(), 1)
	c.Refresh(time.Time{}, false)
	require.Zero(t, conn.expiry)
	c.Refresh(time.Now().Add(-time.Hour), false)
	require.Equal(t, time.Millisecond, conn.expiry)
	require.Empty(t, conn.closed)
	c.Refresh(time.Time{}, true)
	require.Equal(t, []transport.Close{closeExpired()}, conn.closed)
	c.OnClose(transport.Close{})
}

// known are tokens of users whose names they are.
type known struct{ session.Tokens }

func (known) Connection(_ context.Context, token string) (*auth.Claims, error) {
	return &auth.Claims{User: token, IssuedAt: time.Now().Add(-time.Minute)}, nil
}

// A token may be revoked when it was looked at, and nobody can find its client yet.
func TestTokensRevokedMeanwhile(t *testing.T) {
	for name, revoked := range map[string]string{"its user's": "ann", "another's": "bob"} {
		t.Run(name, func(t *testing.T) {
			p, h, presence := plain(t)
			p.options.Session.Tokens = known{}
			revocations, ok := p.options.Session.Broker.(broker.Revocations)
			require.True(t, ok)
			left := 0
			p.options.Joined = func(ctx context.Context, _ protocol.Client) error {
				return revocations.Revoke(ctx, revoked, time.Now())
			}
			p.options.Left = func(protocol.Client, transport.Close) { left++ }
			c, conn := accept(t, p, "channel=seen:a&token=ann"), &fakeConn{}
			c.OnOpen(conn)
			if revoked == "ann" {
				require.Equal(t, transport.CodePolicy, conn.closed[0].Code)
				require.Zero(t, subscribers(h), "nothing is delivered to it")
			} else {
				require.Empty(t, conn.closed)
				require.Equal(t, 1, subscribers(h))
			}
			require.Zero(t, left)
			c.OnClose(transport.Close{})
			require.Equal(t, 1, left)
			require.Zero(t, subscribers(h))
			require.Zero(t, presence.there)
		})
	}
}
