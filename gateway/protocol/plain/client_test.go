package plain

import (
	"context"
	"errors"
	"iter"
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
)

// fakeConn is a connection without a network.
type fakeConn struct {
	transport.Conn
	sent   int
	closed []transport.Close
	expiry time.Duration
	opened time.Time
}

func (c *fakeConn) ID() string                                    { return "id" }
func (c *fakeConn) UUID() uuid.UUID                               { return uuid.UUID{} }
func (c *fakeConn) RemoteIP() netip.Addr                          { return netip.Addr{} }
func (c *fakeConn) OpenedAt() time.Time                           { return c.opened }
func (c *fakeConn) Send(transport.Frame) bool                     { c.sent++; return true }
func (c *fakeConn) Close(cl transport.Close)                      { c.closed = append(c.closed, cl) }
func (c *fakeConn) CloseAfter(d time.Duration, _ transport.Close) { c.expiry = d }
func (c *fakeConn) StartHeartbeat(*transport.Heartbeat)           {}

// fakePresence is a presence that may fail, and counts its members.
type fakePresence struct {
	err     error
	members int
}

func (f *fakePresence) Join(context.Context, string, broker.ClientInfo) (settle func(begun bool), err error) {
	if f.err != nil {
		return nil, f.err
	}
	f.members++
	return func(begun bool) {
		if !begun {
			f.members--
		}
	}, nil
}

func (f *fakePresence) Update(context.Context, string, string, func() (broker.ClientInfo, bool)) error {
	return f.err
}

func (f *fakePresence) Leave(string, broker.ClientInfo, bool) { f.members-- }

func (f *fakePresence) LeaveAll(_ string, n int, _ iter.Seq2[string, broker.ClientInfo]) {
	f.members -= n
}

// newPlain returns the protocol on a hub of its own, where channels that begin with "seen:" have presence.
func newPlain(t *testing.T) (*Plain, *hub.Hub, *fakePresence) {
	t.Helper()
	b := &panickingBroker{Broker: memory.New(memory.Options{})}
	h := hub.New(hub.Options{
		Broker: b,
		Logger: slog.New(slog.DiscardHandler),
		Rules:  channel.Rules{{Pattern: "seen:*", Presence: true}, {Pattern: "closed:*", Subscribe: channel.SubscribeToken}},
	})
	brokertest.Connect(b, h)
	none, err := hooks.New(hooks.Options{})
	require.NoError(t, err)
	tokens, err := auth.New(auth.Options{})
	require.NoError(t, err)
	presence := &fakePresence{}
	return New(protocol.Options{
		Session: session.Options{
			Hub:         h,
			Broker:      b,
			Presence:    presence,
			Hooks:       none,
			Tokens:      tokens,
			Anonymous:   true,
			MaxChannels: 4,
			Timeout:     time.Second,
			Published:   func(time.Duration, error) {},
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

// A client that joined leaves once, whatever failed while its connection opened, and nothing stays behind.
func TestClientOpensAndCloses(t *testing.T) {
	down := errors.New("down")
	for name, c := range map[string]struct {
		joined, presence error
		meanwhile        func(c *client)
		code             int
		left             int
	}{
		"opens":                            {left: 1},
		"the directory is away":            {joined: down, code: transport.CodeTryAgainLater},
		"too many of the user":             {joined: registry.ErrTooManyConnections, code: transport.CodeTryAgainLater},
		"it cannot be made present":        {presence: down, code: transport.CodeTryAgainLater, left: 1},
		"the backend takes a channel back": {meanwhile: func(c *client) { c.Unsubscribe("seen:a") }, left: 1},
		"the backend gives it what it wants": {meanwhile: func(c *client) {
			_ = c.Subscribe(context.Background(), protocol.Subscription{Channel: "seen:a"})
		}, left: 1},
	} {
		t.Run(name, func(t *testing.T) {
			p, h, presence := newPlain(t)
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
			require.Zero(t, subscribers(h), "nothing is delivered yet")
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
				require.Zero(t, presence.members)
			}
		})
	}
}

func TestClientThatNeverOpens(t *testing.T) {
	p, h, presence := newPlain(t)
	p.options.Left = func(protocol.Client, transport.Close) { t.Error("left") }
	c := accept(t, p, "channel=seen:a")
	require.Equal(t, 1, h.Channels())
	c.OnClose(transport.Close{})
	require.Zero(t, presence.members)
	require.Empty(t, c.Channels())

	_, err := p.accept(httptest.NewRequest(http.MethodGet, "/ws?channel=seen:a&channel=closed:a", nil))
	require.Error(t, err)
	require.Zero(t, subscribers(h))
}

func TestClientRefresh(t *testing.T) {
	p, _, _ := newPlain(t)
	c := accept(t, p, "channel=a")
	conn := &fakeConn{}
	c.OnOpen(conn)
	require.Zero(t, conn.expiry)
	require.NoError(t, c.Refresh(t.Context(), protocol.Refresh{ExpireAt: time.Now().Add(time.Hour)}))
	require.InDelta(t, time.Hour.Seconds(), conn.expiry.Seconds(), 1)
	require.NoError(t, c.Refresh(t.Context(), protocol.Refresh{ExpireAt: time.Time{}}))
	require.Zero(t, conn.expiry)
	require.NoError(t, c.Refresh(t.Context(), protocol.Refresh{ExpireAt: time.Now().Add(-time.Hour)}))
	require.Equal(t, time.Millisecond, conn.expiry)
	require.Empty(t, conn.closed)
	require.NoError(t, c.Refresh(t.Context(), protocol.Refresh{ExpireAt: time.Time{}, Expired: true}))
	require.Equal(t, []transport.Close{protocol.CloseExpired()}, conn.closed)
	c.OnClose(transport.Close{})
}

// A client that is as old as replaceableAfter makes room for another of its user.
func TestClientReplace(t *testing.T) {
	for name, c := range map[string]struct {
		age         time.Duration
		replaceable bool
	}{
		"new":                {0, false},
		"almost old enough":  {9 * time.Second, false},
		"old enough":         {11 * time.Second, true},
		"of an earlier hour": {time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, _ := newPlain(t)
			client, conn := accept(t, p, "channel=a"), &fakeConn{opened: time.Now().Add(-c.age)}
			client.OnOpen(conn)
			require.Equal(t, c.replaceable, client.Replaceable())
			client.Replace()
			require.Equal(t, []transport.Close{protocol.CloseReplaced()}, conn.closed)
			client.OnClose(transport.Close{})
		})
	}
}

// The handshake of a user that has too many connections is refused before a channel is reserved.
func TestAcceptRefusesUsersWithTooManyConnections(t *testing.T) {
	p, h, _ := newPlain(t)
	p.options.Session.Tokens = knownTokens{}
	p.options.MayJoin = func(user string) error {
		if user == "ann" {
			return registry.ErrTooManyConnections
		}
		return nil
	}
	_, err := p.accept(httptest.NewRequest(http.MethodGet, "/ws?channel=a&token=ann", nil))
	var refusal *transport.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, http.StatusTooManyRequests, refusal.Status)
	require.Positive(t, refusal.RetryAfter)
	require.Zero(t, h.Channels())
	for _, other := range []string{"channel=a&token=bob", "channel=a"} {
		accept(t, p, other).OnClose(transport.Close{})
	}
}

// knownTokens accepts every token as that of the user with its text as name.
type knownTokens struct{ session.Tokens }

func (knownTokens) Connection(_ context.Context, token string) (*auth.Claims, error) {
	return &auth.Claims{User: token, IssuedAt: time.Now().Add(-time.Minute)}, nil
}

// A token may be revoked after it was verified, and before the revocation can find its client.
func TestClientWithATokenRevokedMeanwhile(t *testing.T) {
	for name, revoked := range map[string]string{"its user's": "ann", "another's": "bob"} {
		t.Run(name, func(t *testing.T) {
			p, h, presence := newPlain(t)
			p.options.Session.Tokens = knownTokens{}
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
			require.Zero(t, presence.members)
		})
	}
}
