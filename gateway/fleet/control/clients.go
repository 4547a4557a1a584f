package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
)

// Subscribe implements serverapi.Backend.
func (b *Backend) Subscribe(ctx context.Context, t serverapi.Target, channel string, o serverapi.SubscribeOptions) error {
	_, err := b.give(ctx, order{
		Do: doSubscribe, User: t.User, Client: t.Client, Channel: channel, Info: o.Info, ExpireAt: o.ExpireAt, Since: o.RecoverSince,
	})
	return err
}

// Unsubscribe implements serverapi.Backend.
func (b *Backend) Unsubscribe(ctx context.Context, t serverapi.Target, channel string) error {
	_, err := b.give(ctx, order{Do: doUnsubscribe, User: t.User, Client: t.Client, Channel: channel})
	return err
}

// Disconnect implements serverapi.Backend. A revocation comes first: who is disconnected may be back
// at once.
func (b *Backend) Disconnect(ctx context.Context, t serverapi.Target, d serverapi.Disconnect, o serverapi.DisconnectOptions) error {
	if o.Revoke && t.User != "" {
		if err := b.options.Broker.Revoke(ctx, t.User, time.Now()); err != nil {
			return err
		}
	}
	_, err := b.give(ctx, order{Do: doDisconnect, User: t.User, Client: t.Client, Code: d.Code, Reason: d.Reason, Spared: o.Whitelist})
	return err
}

// Refresh implements serverapi.Backend.
func (b *Backend) Refresh(ctx context.Context, t serverapi.Target, o serverapi.RefreshOptions) error {
	_, err := b.give(ctx, order{Do: doRefresh, User: t.User, Client: t.Client, ExpireAt: o.ExpireAt, Expired: o.Expired})
	return err
}

// Send implements serverapi.Backend.
func (b *Backend) Send(ctx context.Context, t serverapi.Target, data []byte, binary bool) (reached int, err error) {
	done, err := b.give(ctx, order{Do: doSend, User: t.User, Client: t.Client, Data: data, Binary: binary})
	return done.Done, err
}

const questionConnections = "connections"

// connectionsQuestion asks a gateway for its connections of a user, of a channel, or of an id.
type connectionsQuestion struct {
	User    string `json:"user,omitempty"`
	Channel string `json:"channel,omitempty"`
	Client  string `json:"client,omitempty"`
	Limit   int    `json:"limit"`
}

// Connections implements serverapi.Backend.
func (b *Backend) Connections(ctx context.Context, q serverapi.ConnectionQuery) ([]serverapi.Connection, error) {
	var where []string
	var err error
	if q.User != "" {
		where, err = b.options.Broker.Lookup(ctx, q.User)
	} else {
		where, err = b.everybody(ctx)
	}
	if err != nil {
		return nil, err
	}
	return b.list(ctx, where, connectionsQuestion{User: q.User, Channel: q.Channel, Limit: q.Limit})
}

// Connection implements serverapi.Backend.
func (b *Backend) Connection(ctx context.Context, id string) (*serverapi.Connection, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return nil, serverapi.ErrUnknownConnection
	}
	found, err := b.list(ctx, []string{registry.GatewayOf(parsed).String()}, connectionsQuestion{Client: parsed.String(), Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, serverapi.ErrUnknownConnection
	}
	return &found[0], nil
}

// list gathers connections of gateways, the oldest first.
func (b *Backend) list(ctx context.Context, where []string, q connectionsQuestion) ([]serverapi.Connection, error) {
	answers, silent, err := ask[[]serverapi.Connection](ctx, b, where, questionConnections, q)
	if err != nil {
		return nil, err
	}
	if silent {
		return nil, fmt.Errorf("%w: %w", broker.ErrUnavailable, errSilent)
	}
	out := []serverapi.Connection{}
	for _, a := range answers {
		out = append(out, a...)
	}
	return oldest(out, q.Limit), nil
}

// listHere lists connections of this gateway.
func (b *Backend) listHere(_ context.Context, q connectionsQuestion) ([]serverapi.Connection, error) {
	var among []protocol.Client
	if q.Client != "" || q.User != "" {
		among = b.targets(order{User: q.User, Client: q.Client})
	} else {
		among = b.options.Clients.All()
	}
	out := []serverapi.Connection{}
	for _, c := range among {
		channels := c.Channels()
		if q.Channel != "" && !slices.Contains(channels, q.Channel) {
			continue
		}
		out = append(out, serverapi.Connection{
			ID: c.Conn().ID(), User: c.User(), Protocol: c.Protocol(), RemoteIP: c.Conn().RemoteIP().String(),
			ConnectedAt: c.Conn().OpenedAt(), QueuedBytes: c.Conn().QueuedBytes(), Channels: channels, Node: b.options.Node,
		})
	}
	return oldest(out, q.Limit), nil
}

// oldest are so many connections at most, the oldest first; 0: all.
func oldest(found []serverapi.Connection, limit int) []serverapi.Connection {
	slices.SortFunc(found, func(a, b serverapi.Connection) int { return a.ConnectedAt.Compare(b.ConnectedAt) })
	if limit > 0 && len(found) > limit {
		found = found[:limit]
	}
	return found
}
