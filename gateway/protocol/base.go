package protocol

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// Base is what the handlers of all protocols have in common: the session, the connection, and the bookkeeping of a
// client that joins and leaves. A handler embeds it, calls Open first in OnOpen, Join when the client is identified,
// and Leave in OnClose. Base implements the methods of Client whose effect needs no frame of the protocol; a handler
// that has one for them overrides the method.
type Base struct {
	Session session.Session
	options *Options
	conn    transport.Conn
	// refresh is the timer after which the backend is asked whether the client may stay, or nil.
	refresh atomic.Pointer[time.Timer]
	joined  bool
}

// NewBase returns the base of a client that has no connection yet. o must stay as it is.
func NewBase(o *Options) Base { return Base{Session: session.New(&o.Session), options: o} }

// Open sets the client's connection.
func (b *Base) Open(conn transport.Conn) { b.conn = conn }

// Join registers the client, so that the server API finds it, and then checks once more that its token was not revoked.
// c is the handler that embeds b. It returns registry.ErrTooManyConnections for a user with too many connections, and
// the errors of session.Options.CheckNotRevoked; CloseFor turns them into a close frame. After an error the caller
// closes the connection.
func (b *Base) Join(ctx context.Context, c Client, identity session.Identity) error {
	if err := b.options.Joined(ctx, c); err != nil {
		return err
	}
	b.joined = true
	return b.options.Session.CheckNotRevoked(ctx, identity)
}

// HasJoined reports whether Join has registered the client.
func (b *Base) HasJoined() bool { return b.joined }

// Leave ends the client's subscriptions, and unregisters a client that joined. c is the handler that embeds b.
func (b *Base) Leave(c Client, why transport.Close) {
	b.Session.Close()
	b.setRefresh(nil)
	if b.joined {
		b.options.Left(c, why)
	}
}

// CloseAt closes the connection at a time, plus a grace period; a zero time takes back an earlier call.
func (b *Base) CloseAt(at time.Time, grace time.Duration, c transport.Close) {
	if at.IsZero() {
		b.conn.CloseAfter(0, transport.Close{})
		return
	}
	b.conn.CloseAfter(max(max(time.Until(at), 0)+grace, time.Millisecond), c)
}

// AsksToRefresh reports whether the backend is asked when the time of a connection is over.
func (b *Base) AsksToRefresh() bool { return b.options.Session.Hooks.HasRefresh() }

// Expire ends the connection at a time, plus a grace period for a new token; a zero time takes back an earlier call. c
// is the handler that embeds b. Where there is a refresh hook, it is asked at that time instead.
func (b *Base) Expire(c Client, at time.Time, grace time.Duration, closing transport.Close) {
	if !b.AsksToRefresh() {
		b.CloseAt(at, grace, closing)
		return
	}
	if at.IsZero() {
		b.setRefresh(nil)
		return
	}
	b.setRefresh(time.AfterFunc(time.Until(at), func() { b.askRefresh(c, closing) }))
}

// setRefresh replaces the timer of refresh.
func (b *Base) setRefresh(timer *time.Timer) {
	if before := b.refresh.Swap(timer); before != nil {
		before.Stop()
	}
}

// askRefresh asks the backend whether the client may stay, and closes the connection when it may not.
func (b *Base) askRefresh(c Client, closing transport.Close) {
	again, err := b.Session.AskRefresh(context.Background(), c.Protocol())
	disconnect, disconnects := errors.AsType[*hooks.Disconnect](err)
	switch {
	case disconnects:
		b.Disconnect(int(disconnect.Code), disconnect.Reason)
	case errors.Is(err, session.ErrExpiredToken):
		b.conn.Close(closing)
	case err == nil:
		b.Expire(c, again, 0, closing)
	}
}

// Conn implements Client.
func (b *Base) Conn() transport.Conn { return b.conn }

// User implements Client.
func (b *Base) User() string { return b.Session.User() }

// Channels implements Client.
func (b *Base) Channels() []string { return b.Session.Channels() }

// Unsubscribe implements Client, without telling the client.
func (b *Base) Unsubscribe(channel string) bool { return b.Session.Unsubscribe(channel) }

// Disconnect implements Client.
func (b *Base) Disconnect(code int, reason string) {
	b.conn.Close(transport.Close{Code: code, Reason: reason})
}

// replaceableAfter is the age from which a connection is replaced whose protocol has no close code after which all
// clients stay away. The clients of two pages that come back after every close take each other's place no more often,
// and a client that is refused meanwhile comes back later each time.
const replaceableAfter = 10 * time.Second

// Replace implements Client.
func (b *Base) Replace() { b.conn.Close(CloseReplaced()) }

// Replaceable implements Client: it reports whether the connection is older than replaceableAfter.
func (b *Base) Replaceable() bool { return time.Since(b.conn.OpenedAt()) >= replaceableAfter }

// Refresh implements Client, without telling the client: an expired connection is closed with CloseExpired. Its errors
// are those of session.Session.SetInfo.
func (b *Base) Refresh(ctx context.Context, r Refresh) error {
	if r.Expired {
		b.conn.Close(CloseExpired())
		return nil
	}
	b.CloseAt(r.ExpireAt, 0, CloseExpired())
	return b.Session.SetInfo(ctx, r.Info)
}

// SubscribeServerSide implements the Subscribe of Client without telling the client. c is the handler that embeds b.
// Since is ignored. Its errors are those of session.Session.Subscribe.
func (b *Base) SubscribeServerSide(ctx context.Context, c session.Subscriber, s Subscription) error {
	r := session.SubscribeRequest{
		Channel:    s.Channel,
		Subscriber: c,
		ServerSide: true,
		NoNotify:   true,
		Info:       s.Info,
		ExpiresAt:  s.ExpireAt,
	}
	return b.Session.Subscribe(ctx, r, func(session.SubscribeResult) {})
}

// PresenceInfo implements session.Subscriber.
func (b *Base) PresenceInfo(channel string) (broker.ClientInfo, bool) {
	return b.Session.ClientInfo(channel)
}

// Send implements hub.Subscriber.
func (b *Base) Send(f transport.Frame) bool { return b.conn.Send(f) }

// InsufficientState implements hub.Subscriber for protocols that cannot tell the client that it misses something. Their
// subscriptions have NoNotify, so that the hub does not call it.
func (b *Base) InsufficientState(s *hub.Subscription) { b.Session.EndInsufficient(s) }
