package centrifuge

import (
	"context"
	"log/slog"
	"time"

	cf "github.com/centrifugal/protocol"

	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
)

// The methods below are what the server does with a client by itself. They may be called from any goroutine.

// push sends a push, behind the answer to connect, and reports whether it was queued.
func (c *client) push(p *cf.Push) bool {
	f, err := c.encoding.frame(&cf.Reply{Push: p})
	if err != nil {
		c.centrifuge.options.Logger.Warn("push not encoded", slog.Any("error", err))
		return false
	}
	return c.Send(f)
}

// pushUnsubscribe tells the client that the server ended a subscription. The subscribe command with which the client
// comes back does not count against its message rate.
func (c *client) pushUnsubscribe(channel string, code uint32, reason string) {
	c.subscribeAllowance.Add(1)
	c.push(&cf.Push{Channel: channel, Unsubscribe: &cf.Unsubscribe{Code: code, Reason: reason}})
}

// Subscribe implements protocol.Client. Its errors are those of session.Session.Subscribe.
func (c *client) Subscribe(ctx context.Context, s protocol.Subscription) error {
	request := session.SubscribeRequest{
		Channel:    s.Channel,
		Subscriber: c,
		ServerSide: true,
		JoinLeave:  true,
		Info:       s.Info,
		ExpiresAt:  s.ExpireAt,
		Since:      s.Since,
		Expired:    c.pushExpired,
	}
	return c.Session.Subscribe(ctx, request, func(result session.SubscribeResult) {
		push := &cf.Subscribe{
			Positioned: result.Positioned, Recoverable: result.Positioned && result.Rule.Recovery,
		}
		if result.Positioned {
			push.Epoch, push.Offset = result.Epoch, startOffset(result)
		}
		c.push(&cf.Push{Channel: s.Channel, Subscribe: push})
		for _, p := range result.Publications {
			if f, err := c.encoding.Encode(s.Channel, p); err == nil {
				c.Send(f)
			}
		}
	})
}

// Unsubscribe implements protocol.Client.
func (c *client) Unsubscribe(channel string) bool {
	if !c.Session.Unsubscribe(channel) {
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

// Replace implements protocol.Client.
func (c *client) Replace() { c.Conn().Close(disconnectReplaced()) }

// Replaceable implements protocol.Client: SDKs stay away after the close code of Replace, at whatever age.
func (c *client) Replaceable() bool { return true }

// Refresh implements protocol.Client.
func (c *client) Refresh(expireAt time.Time, expired bool) {
	if expired {
		c.Conn().Close(disconnectExpired())
		return
	}
	push := &cf.Refresh{}
	push.Expires, push.Ttl = c.scheduleExpiry(expireAt)
	c.push(&cf.Push{Refresh: push})
}
