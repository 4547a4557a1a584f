package centrifuge

import (
	"context"
	"errors"

	cf "github.com/centrifugal/protocol"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/session"
)

// flagRejectUnrecovered asks for an error where a subscription would begin with a gap.
const flagRejectUnrecovered = 1 << 1

// subscribe answers before the first publication can follow, and after the broker confirmed. The answer
// goes out with those to the other commands of the frame: SDKs that come back have one for each channel.
func (c *client) subscribe(ctx context.Context, id uint32, r *cf.SubscribeRequest) error {
	switch {
	case r.Channel == "":
		return errNoChannel
	case r.Type != 0 || r.Tf != nil:
		return c.fail(id, errNotAvailable)
	}
	wish := session.SubscribeRequest{
		Channel: r.Channel, Subscriber: c, Protocol: string(c.encoding.protocol), Token: r.Token,
		Data:       hooks.Payload{Bytes: r.Data, Binary: c.encoding.isBinary(r.Data)},
		Positioned: r.Positioned || r.Recoverable || r.Recover, JoinLeave: r.JoinLeave, RequireComplete: r.Flag&flagRejectUnrecovered != 0,
		Renewable: true, Expired: c.expired,
	}
	if r.Recover {
		wish.Since = &broker.Position{Offset: r.Offset, Epoch: r.Epoch}
		// Each of a frame's subscriptions may bring all that one answer can hold.
		if err := c.room(ctx); err != nil {
			return err
		}
	}
	var failed error
	err := c.session.Subscribe(ctx, wish, func(s session.SubscribeResult) {
		var result *cf.SubscribeResult
		if result, failed = c.subscribed(s, r.Recover); failed == nil {
			failed = c.reply(&cf.Reply{Id: id, Subscribe: result})
		}
		c.queue()
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return errGone
	case err != nil && disconnects(err):
		return err
	case err != nil:
		return c.fail(id, err)
	case failed != nil:
		return failed
	}
	return nil
}

// subscribed is what a client is told of a subscription.
func (c *client) subscribed(s session.SubscribeResult, recovering bool) (*cf.SubscribeResult, error) {
	r := &cf.SubscribeResult{Positioned: s.Positioned, Recoverable: s.Positioned && s.Rule.Recovery}
	if s.Positioned {
		r.Epoch, r.Offset = s.Epoch, start(s)
	}
	if r.Recoverable && recovering {
		r.WasRecovering, r.Recovered = true, s.Recovered
	}
	r.Expires, r.Ttl = lasting(s.ExpiresAt)
	var err error
	if len(s.Publications) > 0 {
		if r.Publications, err = c.encoding.publications(s.Publications); err != nil {
			return nil, err
		}
	}
	r.Data, err = c.payload(s.Data)
	return r, err
}

// start is the offset that the client advances from by applying what it missed. It is not where that
// ends: a client that is cut off in between must not take the rest for applied.
func start(s session.SubscribeResult) uint64 {
	if len(s.Publications) > 0 {
		return s.Publications[0].Offset - 1
	}
	return s.Offset
}

// payload is a backend's data as this client sees it.
func (c *client) payload(p hooks.Payload) (cf.Raw, error) {
	if len(p.Bytes) == 0 {
		return nil, nil
	}
	data, err := c.encoding.data(p.Bytes, p.Binary)
	if err != nil {
		return nil, errors.Join(errEncode, err)
	}
	return data, nil
}

func (c *client) unsubscribe(r *cf.UnsubscribeRequest) (*cf.UnsubscribeResult, error) {
	if r.Channel == "" {
		return nil, errNoChannel
	}
	c.session.Unsubscribe(r.Channel)
	return &cf.UnsubscribeResult{}, nil
}

// subRefresh takes a subscription's new token.
func (c *client) subRefresh(ctx context.Context, r *cf.SubRefreshRequest) (*cf.SubRefreshResult, error) {
	switch {
	case r.Channel == "":
		return nil, errNoChannel
	case r.Type != 0:
		return nil, errNotAvailable
	case r.Token == "":
		return nil, errNoToken
	}
	at, err := c.session.Renew(ctx, r.Channel, r.Token, c.expired)
	if err != nil {
		return nil, err
	}
	result := &cf.SubRefreshResult{}
	result.Expires, result.Ttl = lasting(at)
	return result, nil
}

// expired tells of a subscription that ended because its token was not renewed; the client may come with
// another.
func (c *client) expired(channel string) {
	c.pushUnsubscribe(channel, unsubscribeExpired, "subscription expired")
}

// InsufficientState implements hub.Subscriber: the client comes back for what it missed. It subscribes again to what it
// has subscribed to; what the server has subscribed it to it has again when it has connected again.
func (c *client) InsufficientState(o *hub.Subscription) {
	switch serverSide, lost := c.session.EndInsufficient(o); {
	case !lost:
	case serverSide:
		c.conn.Close(disconnectInsufficientState())
	default:
		c.pushUnsubscribe(o.Channel(), unsubscribeInsufficientState, "insufficient state")
	}
}
