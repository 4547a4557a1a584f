package centrifuge

import (
	"context"
	"log/slog"
	"time"

	cf "github.com/centrifugal/protocol"

	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// What the server does with a client by itself. These may be called from anywhere.

// push sends something that is no answer, behind what the client is told first.
func (c *client) push(p *cf.Push) bool {
	f, err := c.encoding.frame(&cf.Reply{Push: p})
	if err != nil {
		c.centrifuge.options.Logger.Warn("push not encoded", slog.Any("error", err))
		return false
	}
	return c.Send(f)
}

func (c *client) pushUnsubscribe(channel string, code uint32, reason string) {
	c.push(&cf.Push{Channel: channel, Unsubscribe: &cf.Unsubscribe{Code: code, Reason: reason}})
}

// Conn implements protocol.Client.
func (c *client) Conn() transport.Conn { return c.conn }

// Subscribe implements protocol.Client.
func (c *client) Subscribe(ctx context.Context, s protocol.Subscription) error {
	wish := session.SubscribeRequest{
		Channel: s.Channel, Subscriber: c, ServerSide: true, JoinLeave: true, Info: s.Info, ExpiresAt: s.ExpireAt, Since: s.Since, Expired: c.expired,
	}
	return c.session.Subscribe(ctx, wish, func(told session.SubscribeResult) {
		push := &cf.Subscribe{Positioned: told.Positioned, Recoverable: told.Positioned && told.Rule.Recovery}
		if told.Positioned {
			push.Epoch, push.Offset = told.Epoch, start(told)
		}
		c.push(&cf.Push{Channel: s.Channel, Subscribe: push})
		for _, p := range told.Publications {
			if f, err := c.encoding.Encode(s.Channel, p); err == nil {
				c.Send(f)
			}
		}
	})
}

// Unsubscribe implements protocol.Client.
func (c *client) Unsubscribe(channel string) bool {
	if !c.session.Unsubscribe(channel) {
		return false
	}
	c.pushUnsubscribe(channel, unsubscribeServer, "server unsubscribe")
	return true
}

// Message implements protocol.Client.
func (c *client) Message(data []byte, binary bool) bool {
	encoded, err := c.encoding.data(data, binary)
	return err == nil && c.push(&cf.Push{Message: &cf.Message{Data: encoded}})
}

// Disconnect implements protocol.Client.
func (c *client) Disconnect(code int, reason string) {
	c.conn.Close(transport.Close{Code: code, Reason: reason})
}

// Refresh implements protocol.Client.
func (c *client) Refresh(expireAt time.Time, expired bool) {
	if expired {
		c.conn.Close(disconnectExpired())
		return
	}
	push := &cf.Refresh{}
	push.Expires, push.Ttl = c.expire(expireAt)
	c.push(&cf.Push{Refresh: push})
}
