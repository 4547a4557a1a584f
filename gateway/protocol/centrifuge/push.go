package centrifuge

import (
	"context"
	"errors"
	"log/slog"

	cf "github.com/centrifugal/protocol"
	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/internal/recovery"
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
	return c.subscribeAndPush(ctx, session.SubscribeRequest{
		Channel:      s.Channel,
		Subscriber:   c,
		ServerSide:   true,
		JoinLeave:    true,
		Info:         s.Info,
		ExpiresAt:    s.ExpireAt,
		Since:        s.Since,
		Expired:      c.pushExpired,
		Protocol:     c.Protocol(),
		Disconnected: c.disconnectedByBackend,
	}, &s.Data)
}

// identityRequest returns the request for a channel that the client's identity names.
func (c *client) identityRequest(channel string) session.SubscribeRequest {
	return session.SubscribeRequest{
		Channel:      channel,
		Subscriber:   c,
		ServerSide:   true,
		FromIdentity: true,
		JoinLeave:    true,
	}
}

// maxParallelSubscriptions is the maximum number of subscriptions that subscribeMissing makes at the same time.
const maxParallelSubscriptions = 16

// subscribeMissing makes the subscriptions that a new token brings. It returns an error that wraps
// broker.ErrUnavailable, after which another refresh makes the others; and a *closeError when there are more than the
// connection may have: the client comes back, and gets these before its own. It returns errGone when the connection
// ends.
func (c *client) subscribeMissing(ctx context.Context, channels []string) error {
	var group errgroup.Group
	group.SetLimit(maxParallelSubscriptions)
	for _, channel := range channels {
		group.Go(func() (err error) {
			// A panic in this goroutine would end the gateway.
			defer recovery.ToError(&err, c.centrifuge.options.Logger, "refresh failed", slog.String("protocol", Name))
			err = c.subscribeAndPush(ctx, c.identityRequest(channel), nil)
			switch {
			case errors.Is(err, session.ErrSubscribed), errors.Is(err, session.ErrSubscriptionEnded):
				// The client or the server API made or ended the subscription meanwhile.
				return nil
			case errors.Is(err, session.ErrTooManyChannels):
				return &closeError{disconnectInsufficientState(), err}
			}
			return err
		})
	}
	err := group.Wait()
	if err != nil && ctx.Err() != nil {
		return errGone
	}
	return err
}

// subscribeAndPush makes a subscription and tells the client, with data, or with the identity's when that is nil. Its
// errors are those of session.Session.Subscribe.
func (c *client) subscribeAndPush(ctx context.Context, request session.SubscribeRequest, data *hooks.Payload) error {
	return c.Session.Subscribe(ctx, request, func(result session.SubscribeResult) {
		told := result.Data
		if data != nil {
			told = *data
		}
		encoded, err := c.payload(told)
		if err != nil {
			c.centrifuge.options.Logger.Warn("data not encoded", slog.Any("error", err))
		}
		push := &cf.Subscribe{
			Positioned: result.Positioned, Recoverable: result.Positioned && result.Rule.Recovery, Data: encoded,
		}
		if result.Positioned {
			push.Epoch, push.Offset = result.Epoch, startOffset(result)
		}
		c.push(&cf.Push{Channel: request.Channel, Subscribe: push})
		for _, p := range result.Publications {
			if f, err := c.encoding.Encode(request.Channel, p); err == nil {
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

// Refresh implements protocol.Client. Its errors are those of session.Session.SetInfo.
func (c *client) Refresh(ctx context.Context, r protocol.Refresh) error {
	if r.Expired {
		c.Conn().Close(disconnectExpired())
		return nil
	}
	push := &cf.Refresh{}
	push.Expires, push.Ttl = c.scheduleExpiry(r.ExpireAt) //nolint:contextcheck // its timer outlives the call
	c.push(&cf.Push{Refresh: push})
	return c.Session.SetInfo(ctx, r.Info)
}
