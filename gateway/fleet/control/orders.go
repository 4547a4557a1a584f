package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
	"github.com/wsfleet/wsfleet/gateway/session"
)

const questionOrder = "order"

// What gateways can be told to do with clients.
const (
	doSubscribe   = "subscribe"
	doUnsubscribe = "unsubscribe"
	doDisconnect  = "disconnect"
	doRefresh     = "refresh"
	doSend        = "send"
)

// order is something to do with the clients of a target that a gateway has.
type order struct {
	Do     string `json:"do"`
	User   string `json:"user,omitempty"`
	Client string `json:"client,omitempty"`

	Channel  string           `json:"channel,omitempty"`
	Info     []byte           `json:"info,omitempty"`
	ExpireAt time.Time        `json:"expireAt,omitzero"`
	Expired  bool             `json:"expired,omitempty"`
	Since    *broker.Position `json:"since,omitempty"`
	Data     []byte           `json:"data,omitempty"`
	Binary   bool             `json:"binary,omitempty"`
	Code     int              `json:"code,omitempty"`
	Reason   string           `json:"reason,omitempty"`
	Spared   []string         `json:"spared,omitempty"`
}

// outcome is what became of an order on one gateway.
type outcome struct {
	// Found are the connections of the target, Done those with which it was done.
	Found int `json:"found"`
	Done  int `json:"done"`
	// NotAvailable: one cannot do it at all. Full: one has as many channels as it may have. Failed: one
	// failed at it for now.
	NotAvailable bool `json:"notAvailable,omitempty"`
	Full         bool `json:"full,omitempty"`
	Failed       bool `json:"failed,omitempty"`
}

func (o *outcome) add(a outcome) {
	o.Found += a.Found
	o.Done += a.Done
	o.NotAvailable = o.NotAvailable || a.NotAvailable
	o.Full = o.Full || a.Full
	o.Failed = o.Failed || a.Failed
}

// A user that changes gateways may be found on neither for a moment: then it is looked for again.
const (
	looks     = 5
	lookPause = 200 * time.Millisecond
)

// give has an order carried out wherever its target is.
func (b *Backend) give(ctx context.Context, o order) (outcome, error) {
	var sum outcome
	for look := range looks {
		where, err := b.where(ctx, o)
		if err != nil || len(where) == 0 {
			return sum, err
		}
		answers, silent, err := ask[outcome](ctx, b, where, questionOrder, o)
		if err != nil {
			return sum, err
		}
		for _, a := range answers {
			sum.add(a)
		}
		if silent {
			return sum, fmt.Errorf("%w: %w", broker.ErrUnavailable, errSilent)
		}
		// The id of a connection says where it is; only users move.
		if sum.Found > 0 || o.Client != "" || look == looks-1 {
			break
		}
		select {
		case <-time.After(lookPause):
		case <-ctx.Done():
			return sum, fmt.Errorf("%w: %w", broker.ErrUnavailable, ctx.Err())
		}
	}
	switch {
	case o.Client != "" && sum.Found == 0:
		return sum, serverapi.ErrUnknownConnection
	case sum.NotAvailable:
		return sum, fmt.Errorf("%w: a client's protocol or the channel does not allow it", serverapi.ErrNotAvailable)
	case sum.Full:
		return sum, fmt.Errorf("%w: a client has as many channels as max-channels-per-connection allows", serverapi.ErrNotAvailable)
	case sum.Failed:
		return sum, broker.ErrUnavailable
	}
	return sum, nil
}

// where are the gateways that may hold the target.
func (b *Backend) where(ctx context.Context, o order) ([]string, error) {
	if o.Client == "" {
		return b.options.Broker.Lookup(ctx, o.User)
	}
	id, err := uuid.Parse(o.Client)
	if err != nil {
		return nil, serverapi.ErrUnknownConnection
	}
	return []string{registry.GatewayOf(id).String()}, nil
}

// targets are the clients here that an order means.
func (b *Backend) targets(o order) []protocol.Client {
	if o.Client == "" {
		return b.options.Clients.ByUser(o.User)
	}
	id, err := uuid.Parse(o.Client)
	if err != nil {
		return nil
	}
	c, ok := b.options.Clients.Client(id)
	if !ok || o.User != "" && c.User() != o.User {
		return nil
	}
	return []protocol.Client{c}
}

// obey carries out an order with the clients that this gateway has.
func (b *Backend) obey(ctx context.Context, o order) (outcome, error) {
	var out outcome
	for _, c := range b.targets(o) {
		out.Found++
		done, err := obeyWith(ctx, o, c)
		switch {
		case errors.Is(err, session.ErrSubscriptionEnded):
			// It left, or lost the channel again, meanwhile.
		case errors.Is(err, session.ErrTooManyChannels):
			out.Full = true
		case errors.Is(err, session.ErrNotAvailable):
			out.NotAvailable = true
		case err != nil:
			out.Failed = true
		case done:
			out.Done++
		}
	}
	return out, nil
}

func obeyWith(ctx context.Context, o order, c protocol.Client) (done bool, err error) {
	switch o.Do {
	case doSubscribe:
		err := c.Subscribe(ctx, protocol.Subscription{Channel: o.Channel, Info: o.Info, ExpireAt: o.ExpireAt, Since: o.Since})
		if errors.Is(err, session.ErrSubscribed) {
			return true, nil
		}
		return err == nil, err
	case doUnsubscribe:
		return c.Unsubscribe(o.Channel), nil
	case doDisconnect:
		if slices.Contains(o.Spared, c.Conn().ID()) {
			return false, nil
		}
		c.Disconnect(o.Code, o.Reason)
		return true, nil
	case doRefresh:
		c.Refresh(o.ExpireAt, o.Expired)
		return true, nil
	case doSend:
		return c.Message(o.Data, o.Binary), nil
	}
	return false, fmt.Errorf("%w: %q", session.ErrNotAvailable, o.Do)
}
