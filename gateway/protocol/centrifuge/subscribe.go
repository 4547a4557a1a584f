package centrifuge

import (
	"context"
	"errors"
	"fmt"

	cf "github.com/centrifugal/protocol"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/tagfilter"
)

// flagRejectUnrecovered asks for an error where a subscription would begin with a gap.
const flagRejectUnrecovered = 1 << 1

// subscribe carries out the subscribe command. The answer is queued before the first publication, and after the broker
// confirmed the subscription.
func (c *client) subscribe(ctx context.Context, id uint32, r *cf.SubscribeRequest, out *replies) error {
	switch {
	case r.Channel == "":
		return errNoChannel
	case r.Type != 0:
		return c.fail(id, errNotAvailable, out)
	}
	filter, err := filterOf(r.Tf)
	if err != nil {
		return c.fail(id, err, out)
	}
	request := session.SubscribeRequest{
		Channel:         r.Channel,
		Subscriber:      c,
		Protocol:        c.Protocol(),
		Token:           r.Token,
		Data:            hooks.Payload{Bytes: r.Data, Binary: c.encoding.isBinary(r.Data)},
		Positioned:      r.Positioned || r.Recoverable || r.Recover,
		JoinLeave:       r.JoinLeave,
		Filter:          filter,
		RequireComplete: r.Flag&flagRejectUnrecovered != 0,
		Renewable:       true,
		Expired:         c.pushExpired,
		Disconnected:    c.disconnectedByBackend,
	}
	if r.Delta == deltaFossil {
		request.Delta = c.encoding.deltas
	}
	if r.Recover {
		request.Since = &broker.Position{Offset: r.Offset, Epoch: r.Epoch}
		request.LargeTurn = func() (func(), error) { return c.largeTurn(ctx) }
		// All subscriptions of a frame together may bring as much as one large answer.
		if err := c.waitWritable(ctx); err != nil {
			return err
		}
	}
	var failed error
	err = c.Session.Subscribe(ctx, request, func(s session.SubscribeResult) {
		var result *cf.SubscribeResult
		if result, failed = c.subscribeResult(s, r.Recover); failed == nil {
			failed = out.add(&cf.Reply{Id: id, Subscribe: result})
		}
		out.queue()
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return errGone
	case err != nil && disconnects(err):
		return err
	case errors.Is(err, session.ErrSubscriptionEnded):
		// The client's own commands for a channel run one after the other, and nothing else ends a subscription that has not
		// begun.
		return c.fail(id, errUnsubscribed, out)
	case err != nil:
		return c.fail(id, err, out)
	case failed != nil:
		return failed
	}
	return nil
}

// filterOf returns the filter that a client asks for; nil is none. It returns an errBadRequest.
func filterOf(root *cf.FilterNode) (*tagfilter.Filter, error) {
	if root == nil {
		return nil, nil
	}
	filter, err := tagfilter.New(nodeOf(root, 1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadRequest, err)
	}
	return filter, nil
}

// nodeOf translates a part of a filter at a depth. What is deeper than a filter may be is left out, for tagfilter.New
// refuses the level above.
func nodeOf(n *cf.FilterNode, depth int) tagfilter.Node {
	node := tagfilter.Node{Op: n.GetOp(), Compare: n.GetCmp(), Key: n.GetKey(), Value: n.GetVal(), Values: n.GetVals()}
	if depth <= tagfilter.MaxDepth {
		for _, child := range n.GetNodes() {
			node.Nodes = append(node.Nodes, nodeOf(child, depth+1))
		}
	}
	return node
}

// subscribeResult returns what the client is told about a subscription, or errEncode.
func (c *client) subscribeResult(s session.SubscribeResult, recovering bool) (*cf.SubscribeResult, error) {
	r := &cf.SubscribeResult{
		Positioned: s.Positioned, Recoverable: s.Positioned && s.Rule.Recovery, Delta: s.Delta,
	}
	if s.Positioned {
		r.Epoch, r.Offset = s.Epoch, startOffset(s)
	}
	if r.Recoverable && recovering {
		r.WasRecovering, r.Recovered = true, s.Recovered
	}
	r.Expires, r.Ttl = expiresIn(s.ExpiresAt)
	var err error
	if len(s.Publications) > 0 {
		if r.Publications, err = c.encoding.publications(s.Publications); err != nil {
			return nil, err
		}
	}
	if s.Delta {
		for _, p := range r.Publications {
			p.Data = c.encoding.deltas.text(p.Data)
		}
	}
	r.Data, err = c.payload(s.Data)
	return r, err
}

// startOffset returns the offset from which the client advances by applying what it missed. It is not the last of
// these: a client whose connection breaks in between must not take the rest for applied.
func startOffset(s session.SubscribeResult) uint64 {
	if len(s.Publications) > 0 {
		return s.Publications[0].Offset - 1
	}
	return s.Offset
}

// payload returns a backend's data as this client sees it, or errEncode.
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

// unsubscribe carries out the unsubscribe command.
func (c *client) unsubscribe(r *cf.UnsubscribeRequest) (*cf.UnsubscribeResult, error) {
	if r.Channel == "" {
		return nil, errNoChannel
	}
	c.Session.Unsubscribe(r.Channel)
	return &cf.UnsubscribeResult{}, nil
}

// subRefresh carries out the sub_refresh command: it takes a subscription's new token. One that has expired ends the
// subscription, before the answer: SDKs subscribe again, and would stay unsubscribed after the answer alone.
func (c *client) subRefresh(ctx context.Context, r *cf.SubRefreshRequest) (*cf.SubRefreshResult, error) {
	switch {
	case r.Channel == "":
		return nil, errNoChannel
	case r.Type != 0:
		return nil, errNotAvailable
	case r.Token == "":
		return nil, errNoToken
	}
	at, err := c.Session.Renew(ctx, session.RenewRequest{
		Channel:      r.Channel,
		Token:        r.Token,
		Protocol:     c.Protocol(),
		Expired:      c.pushExpired,
		Disconnected: c.disconnectedByBackend,
	})
	if errors.Is(err, session.ErrExpiredToken) && c.Session.Unsubscribe(r.Channel) {
		c.pushExpired(r.Channel)
	}
	if err != nil {
		return nil, err
	}
	result := &cf.SubRefreshResult{}
	result.Expires, result.Ttl = expiresIn(at)
	return result, nil
}

// disconnectedByBackend closes the connection as the backend says.
func (c *client) disconnectedByBackend(d *hooks.Disconnect) { c.Disconnect(int(d.Code), d.Reason) }

// pushExpired tells the client that a subscription ended because its token was not renewed. The client may subscribe
// again with another one.
func (c *client) pushExpired(channel string) {
	c.pushUnsubscribe(channel, unsubscribeExpired, "subscription expired")
}

// InsufficientState implements hub.Subscriber: the client comes back for what it missed. An SDK subscribes again to
// what it subscribed to by itself. It would drop a server-side subscription, which it has again after it has
// reconnected.
func (c *client) InsufficientState(s *hub.Subscription) {
	switch serverSide, ended := c.Session.EndInsufficient(s); {
	case !ended:
	case serverSide:
		c.Conn().Close(disconnectInsufficientState())
	default:
		c.pushUnsubscribe(s.Channel(), unsubscribeInsufficientState, "insufficient state")
	}
}
