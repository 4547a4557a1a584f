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
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/internal/sleep"
)

// methodCommand executes a command on a gateway.
const methodCommand = "order"

// The actions of commands.
const (
	actionSubscribe   = "subscribe"
	actionUnsubscribe = "unsubscribe"
	actionDisconnect  = "disconnect"
	actionRefresh     = "refresh"
	actionSend        = "send"
)

// command is an action for the clients of a user, or for one client. Gateways of other versions read the JSON, so its
// keys must not change.
type command struct {
	Action string `json:"do"`
	User   string `json:"user,omitempty"`
	Client string `json:"client,omitempty"`

	// Channel is the channel of actionSubscribe and actionUnsubscribe.
	Channel string `json:"channel,omitempty"`
	// Info is the JSON that other clients see, of actionSubscribe in the channel and of actionRefresh everywhere.
	Info []byte `json:"info,omitempty"`
	// ExpireAt is when the subscription or the connection expires, of actionSubscribe and actionRefresh. Zero is never.
	ExpireAt time.Time `json:"expireAt,omitzero"`
	// Expired ends the connection now, of actionRefresh.
	Expired bool `json:"expired,omitempty"`
	// Since is the position after which the client gets the stream, of actionSubscribe.
	Since *broker.Position `json:"since,omitempty"`
	// Data is the message of actionSend, and what the client is told with the subscription of actionSubscribe.
	Data []byte `json:"data,omitempty"`
	// Binary means that Data is not text.
	Binary bool `json:"binary,omitempty"`
	// Code is the close code of actionDisconnect.
	Code int `json:"code,omitempty"`
	// Reason is the close reason of actionDisconnect.
	Reason string `json:"reason,omitempty"`
	// Except are the clients that actionDisconnect leaves connected.
	Except []string `json:"spared,omitempty"`
}

// outcome counts the clients of a command on one gateway, or on all. Gateways of other versions read the JSON, so its
// keys must not change.
type outcome struct {
	// Found is the number of clients that the command names.
	Found int `json:"found"`
	// Done is the number of clients for which the action succeeded.
	Done int `json:"done"`
	// NotAvailable means that a client's protocol or the channel does not allow the action.
	NotAvailable bool `json:"notAvailable,omitempty"`
	// Full means that a client has the maximum number of channels.
	Full bool `json:"full,omitempty"`
	// Failed means that the action failed for a client and may succeed later.
	Failed bool `json:"failed,omitempty"`
}

// add adds the outcome of one gateway.
func (o *outcome) add(a outcome) {
	o.Found += a.Found
	o.Done += a.Done
	o.NotAvailable = o.NotAvailable || a.NotAvailable
	o.Full = o.Full || a.Full
	o.Failed = o.Failed || a.Failed
}

// err returns what the server API answers: serverapi.ErrUnknownConnection, an error that wraps
// serverapi.ErrNotAvailable, broker.ErrUnavailable, or nil.
func (o *outcome) err(c command) error {
	switch {
	case c.Client != "" && o.Found == 0:
		return serverapi.ErrUnknownConnection
	case o.NotAvailable:
		return fmt.Errorf("%w: a client's protocol or the channel does not allow it", serverapi.ErrNotAvailable)
	case o.Full:
		return fmt.Errorf("%w: a client has as many channels as max-channels-per-connection allows",
			serverapi.ErrNotAvailable)
	case o.Failed:
		return broker.ErrUnavailable
	}
	return nil
}

const (
	// maxAttempts is how often a user is looked for: a user that moves to another gateway may be on none for a moment.
	maxAttempts = 5
	retryDelay  = 200 * time.Millisecond
)

// dispatch executes a command on all gateways that may have its clients, and returns the sum of their outcomes. A user
// that is found nowhere is looked for again, maxAttempts times in all; a user without connections is no error.
//
// It returns serverapi.ErrUnknownConnection when the command names a client that is not connected, an error that wraps
// serverapi.ErrNotAvailable when a client cannot do it, and one that wraps broker.ErrUnavailable when the command may
// not have reached all clients.
func (d *Dispatcher) dispatch(ctx context.Context, c command) (outcome, error) {
	var sum outcome
	for attempt := range maxAttempts {
		gatewayIDs, err := d.gatewaysOf(ctx, c)
		if err != nil || len(gatewayIDs) == 0 {
			return sum, err
		}
		outcomes, complete, err := call[outcome](ctx, d, gatewayIDs, methodCommand, c)
		if err != nil {
			return sum, err
		}
		for _, o := range outcomes {
			sum.add(o)
		}
		if !complete {
			return sum, fmt.Errorf("%w: %w", broker.ErrUnavailable, errNoAnswer)
		}
		// A connection's id names its gateway. Only users move.
		if sum.Found > 0 || c.Client != "" || attempt == maxAttempts-1 {
			break
		}
		if err := sleep.For(ctx, retryDelay); err != nil {
			return sum, fmt.Errorf("%w: %w", broker.ErrUnavailable, err)
		}
	}
	return sum, sum.err(c)
}

// gatewaysOf returns the IDs of the gateways that may have the clients of a command. It returns
// serverapi.ErrUnknownConnection when the client's id cannot be one, and the broker's error.
func (d *Dispatcher) gatewaysOf(ctx context.Context, c command) ([]string, error) {
	if c.Client == "" {
		return d.options.Broker.Lookup(ctx, c.User)
	}
	id, err := uuid.Parse(c.Client)
	if err != nil {
		return nil, serverapi.ErrUnknownConnection
	}
	return []string{registry.GatewayOf(id).String()}, nil
}

// targets returns the clients of this gateway that belong to user, or, unless client is empty, the client with that id
// if it belongs to user or user is empty.
func (d *Dispatcher) targets(user, client string) []protocol.Client {
	if client == "" {
		return d.options.Clients.ByUser(user)
	}
	id, err := uuid.Parse(client)
	if err != nil {
		return nil
	}
	c, ok := d.options.Clients.Client(id)
	if !ok || user != "" && c.User() != user {
		return nil
	}
	return []protocol.Client{c}
}

// execute executes a command for the clients of this gateway. Its error is always nil.
func (d *Dispatcher) execute(ctx context.Context, c command) (outcome, error) {
	var out outcome
	for _, client := range d.targets(c.User, c.Client) {
		out.Found++
		done, err := c.executeFor(ctx, client)
		switch {
		case errors.Is(err, session.ErrSubscriptionEnded):
			// The client left, or lost the channel again, in the meantime.
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

// executeFor executes the command for one client. done is false when there was nothing to do, or when the client did
// not take the message. It returns the client's error, and one that wraps session.ErrNotAvailable for an action of a
// later version.
func (c command) executeFor(ctx context.Context, client protocol.Client) (done bool, err error) {
	switch c.Action {
	case actionSubscribe:
		err := client.Subscribe(ctx, protocol.Subscription{
			Channel:  c.Channel,
			Info:     c.Info,
			Data:     hooks.Payload{Bytes: c.Data, Binary: c.Binary},
			ExpireAt: c.ExpireAt,
			Since:    c.Since,
		})
		if errors.Is(err, session.ErrSubscribed) {
			return true, nil
		}
		return err == nil, err
	case actionUnsubscribe:
		return client.Unsubscribe(c.Channel), nil
	case actionDisconnect:
		if slices.Contains(c.Except, client.Conn().ID()) {
			return false, nil
		}
		client.Disconnect(c.Code, c.Reason)
		return true, nil
	case actionRefresh:
		err := client.Refresh(ctx, protocol.Refresh{ExpireAt: c.ExpireAt, Expired: c.Expired, Info: c.Info})
		return err == nil, err
	case actionSend:
		return client.Message(c.Data, c.Binary), nil
	}
	return false, fmt.Errorf("%w: %q", session.ErrNotAvailable, c.Action)
}
