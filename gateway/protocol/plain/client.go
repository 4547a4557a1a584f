package plain

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// client is one connection's handler.
type client struct {
	plain   *Plain
	session session.Session
	conn    transport.Conn
	joined  bool
	// publish is where frames go; empty: the connection only listens.
	publish string
	// who the client is, until the connection is open.
	who session.Identity
}

// OnOpen implements transport.Handler.
func (c *client) OnOpen(conn transport.Conn) {
	c.conn = conn
	who := c.who
	claims := who.Claims
	c.session.Bind(conn.UUID(), who)
	c.who = session.Identity{}
	ctx := context.Background()
	if err := c.plain.options.Joined(ctx, c); err != nil {
		c.refuse(err)
		return
	}
	c.joined = true
	if err := c.plain.options.Session.CheckNotRevoked(ctx, who); err != nil {
		c.refuse(err)
		return
	}
	if err := c.attach(ctx); err != nil {
		c.refuse(err)
		return
	}
	if claims != nil && !claims.ExpiresAt.IsZero() {
		c.conn.CloseAfter(max(time.Until(claims.ExpiresAt), time.Millisecond), closeExpired())
	}
	conn.StartHeartbeat(c.plain.heartbeat)
}

// attach begins the delivery of the channels that the handshake named.
func (c *client) attach(ctx context.Context) error {
	for _, channel := range c.session.Channels() {
		err := c.session.Attach(ctx, channel, c)
		// The backend, or its time, may have ended a subscription by now.
		ended := errors.Is(err, session.ErrNotSubscribed) || errors.Is(err, session.ErrSubscriptionEnded)
		if err != nil && !ended {
			return err
		}
	}
	return nil
}

// refuse ends a connection that cannot have what it came for; its handshake is as good as answered.
func (c *client) refuse(err error) {
	if errors.Is(err, registry.ErrTooManyConnections) {
		c.conn.Close(transport.Close{Code: transport.CodePolicy, Reason: "connection limit: the user has too many connections"})
		return
	}
	if errors.Is(err, session.ErrInvalidToken) {
		c.conn.Close(transport.Close{Code: transport.CodePolicy, Reason: "the token was revoked: connect with another"})
		return
	}
	c.conn.Close(transport.Close{Code: transport.CodeTryAgainLater, Reason: "the gateway cannot reach its broker"})
}

func closeExpired() transport.Close {
	return transport.Close{Code: transport.CodePolicy, Reason: "token expired: connect with another"}
}

// OnMessage implements transport.Handler. While the broker is away messages are lost, counted and
// logged: the protocol has no way to tell the client, and closing would only make it come back.
func (c *client) OnMessage(ctx context.Context, kind transport.Kind, data []byte) {
	if c.publish == "" {
		c.conn.Close(transport.Close{Code: transport.CodePolicy, Reason: "several channels: say where to publish with ?publish=NAME"})
		return
	}
	_, err := c.session.Publish(context.WithoutCancel(ctx), session.Message{Channel: c.publish, Data: data, Binary: kind == transport.Binary, Protocol: Name})
	if d, ok := errors.AsType[*hooks.Disconnect](err); ok {
		c.conn.Close(transport.Close{Code: int(d.Code), Reason: d.Reason})
		return
	}
	_, refused := errors.AsType[*hooks.Error](err)
	switch {
	case err == nil:
	case refused, errors.Is(err, session.ErrNotAllowed), errors.Is(err, session.ErrNotSubscribed):
		c.conn.Close(transport.Close{Code: transport.CodePolicy, Reason: "publishing to this channel is not allowed"})
	default:
		c.plain.warnings.Warn("messages of plain clients are lost", slog.Any("error", err))
	}
}

// OnClose implements transport.Handler.
func (c *client) OnClose(why transport.Close) {
	c.session.Close()
	if c.joined {
		c.plain.options.Left(c, why)
	}
}

// Encoder implements hub.Subscriber.
func (c *client) Encoder() hub.Encoder { return c.plain.encoder }

// Send implements hub.Subscriber.
func (c *client) Send(f transport.Frame) bool { return c.conn.Send(f) }

// InsufficientState implements hub.Subscriber. Plain clients count on nothing, so it is never called.
func (c *client) InsufficientState(o *hub.Subscription) { c.session.EndInsufficient(o) }

// PresenceInfo implements presence.Member.
func (c *client) PresenceInfo(channel string) (broker.ClientInfo, bool) {
	return c.session.ClientInfo(channel)
}

// Channels are for reports.
func (c *client) Channels() []string { return c.session.Channels() }

// User is for reports.
func (c *client) User() string { return c.session.User() }

// Protocol implements protocol.Client.
func (c *client) Protocol() string { return Name }

// Conn implements protocol.Client.
func (c *client) Conn() transport.Conn { return c.conn }

// Subscribe implements protocol.Client.
func (c *client) Subscribe(ctx context.Context, s protocol.Subscription) error {
	return c.session.Subscribe(ctx, session.SubscribeRequest{
		Channel: s.Channel, Subscriber: c, ServerSide: true, NoNotify: true, Info: s.Info, ExpiresAt: s.ExpireAt,
	}, func(session.SubscribeResult) {})
}

// Unsubscribe implements protocol.Client.
func (c *client) Unsubscribe(channel string) bool { return c.session.Unsubscribe(channel) }

// Message implements protocol.Client.
func (c *client) Message(data []byte, binary bool) bool {
	f, err := c.plain.encoder.Encode("", broker.Publication{Data: data, Binary: binary})
	return err == nil && c.conn.Send(f)
}

// Disconnect implements protocol.Client.
func (c *client) Disconnect(code int, reason string) {
	c.conn.Close(transport.Close{Code: code, Reason: reason})
}

// Refresh implements protocol.Client.
func (c *client) Refresh(expireAt time.Time, expired bool) {
	switch {
	case expired:
		c.conn.Close(closeExpired())
	case expireAt.IsZero():
		c.conn.CloseAfter(0, transport.Close{})
	default:
		c.conn.CloseAfter(max(time.Until(expireAt), time.Millisecond), closeExpired())
	}
}

var _ protocol.Client = (*client)(nil)
