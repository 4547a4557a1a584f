package plain

import (
	"context"
	"errors"
	"log/slog"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// client is the handler of one connection.
type client struct {
	protocol.Base
	plain *Plain
	// publish is the channel to which the client's frames are published; empty means none.
	publish string
	// identity is the client's until the connection is open.
	identity session.Identity
}

// OnOpen implements transport.Handler. The handshake is as good as answered here, so that errors close the connection.
func (c *client) OnOpen(conn transport.Conn) {
	c.Open(conn)
	identity := c.identity
	c.identity = session.Identity{}
	c.Session.Bind(conn.UUID(), identity)
	ctx := context.Background()
	if err := c.Join(ctx, c, identity); err != nil {
		conn.Close(protocol.CloseFor(err))
		return
	}
	if err := c.AttachAll(ctx, c); err != nil {
		conn.Close(protocol.CloseFor(err))
		return
	}
	if claims := identity.Claims; claims != nil && !claims.ExpiresAt.IsZero() {
		c.Expire(c, claims.ExpiresAt, 0, protocol.CloseExpired())
	}
	conn.StartHeartbeat(c.plain.heartbeat)
}

// OnMessage implements transport.Handler. While the broker cannot be reached messages are lost, counted and logged: the
// protocol has no way to tell the client, and closing would only make the client come back.
func (c *client) OnMessage(ctx context.Context, kind transport.Kind, data []byte) {
	if c.publish == "" {
		const reason = "several channels: say where to publish with ?publish=NAME"
		c.Conn().Close(transport.Close{Code: transport.CodePolicy, Reason: reason})
		return
	}
	_, err := c.Session.Publish(context.WithoutCancel(ctx), session.Message{
		Channel: c.publish, Data: data, Binary: kind == transport.Binary, Protocol: Name,
	})
	switch {
	case err == nil:
	case isRefusal(err):
		c.Conn().Close(protocol.CloseFor(err))
	default:
		c.plain.lostMessages.Warn("messages of plain clients are lost", slog.Any("error", err))
	}
}

// isRefusal reports whether an error of Publish is final: the channel's rule or the backend refused the message.
func isRefusal(err error) bool {
	if _, ok := errors.AsType[*hooks.Disconnect](err); ok {
		return true
	}
	if _, ok := errors.AsType[*hooks.Error](err); ok {
		return true
	}
	return errors.Is(err, session.ErrNotAllowed) || errors.Is(err, session.ErrNotSubscribed)
}

// OnClose implements transport.Handler.
func (c *client) OnClose(why transport.Close) { c.Leave(c, why) }

// Encoder implements hub.Subscriber.
func (c *client) Encoder() hub.Encoder { return c.plain.encoder }

// Protocol implements protocol.Client.
func (c *client) Protocol() string { return Name }

// Subscribe implements protocol.Client. Its errors are those of session.Session.Subscribe.
func (c *client) Subscribe(ctx context.Context, s protocol.Subscription) error {
	return c.SubscribeServerSide(ctx, c, s)
}

// Refresh implements protocol.Client, without telling the client. Its errors are those of session.Session.SetInfo.
func (c *client) Refresh(ctx context.Context, r protocol.Refresh) error {
	if r.Expired {
		c.Conn().Close(protocol.CloseExpired())
		return nil
	}
	c.Expire(c, r.ExpireAt, 0, protocol.CloseExpired()) //nolint:contextcheck // its timer outlives the call
	return c.Session.SetInfo(ctx, r.Info)
}

// Message implements protocol.Client.
func (c *client) Message(data []byte, binary bool) bool {
	f, err := c.plain.encoder.Encode("", broker.Publication{Data: data, Binary: binary})
	return err == nil && c.Conn().Send(f)
}

var _ protocol.Client = (*client)(nil)
