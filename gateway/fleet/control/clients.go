package control

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
)

// Subscribe implements serverapi.Fleet. It returns the errors of dispatch.
func (d *Dispatcher) Subscribe(
	ctx context.Context, t serverapi.Target, channel string, o serverapi.SubscribeOptions,
) error {
	_, err := d.dispatch(ctx, command{
		Action:   actionSubscribe,
		User:     t.User,
		Client:   t.Client,
		Channel:  channel,
		Info:     o.Info,
		Data:     o.Data,
		Binary:   o.Binary,
		ExpireAt: o.ExpireAt,
		Since:    o.RecoverSince,
	})
	return err
}

// Unsubscribe implements serverapi.Fleet. It returns the errors of dispatch.
func (d *Dispatcher) Unsubscribe(ctx context.Context, t serverapi.Target, channel string) error {
	_, err := d.dispatch(ctx, command{
		Action:  actionUnsubscribe,
		User:    t.User,
		Client:  t.Client,
		Channel: channel,
	})
	return err
}

// Disconnect implements serverapi.Fleet. The user's tokens are revoked first, because a client that was disconnected
// may connect again at once. It returns the broker's error and the errors of dispatch.
func (d *Dispatcher) Disconnect(
	ctx context.Context, t serverapi.Target, disconnect serverapi.Disconnect, o serverapi.DisconnectOptions,
) error {
	if o.Revoke && t.User != "" {
		if err := d.options.Broker.Revoke(ctx, t.User, time.Now()); err != nil {
			return err
		}
	}
	_, err := d.dispatch(ctx, command{
		Action: actionDisconnect,
		User:   t.User,
		Client: t.Client,
		Code:   disconnect.Code,
		Reason: disconnect.Reason,
		Except: o.Whitelist,
	})
	return err
}

// Refresh implements serverapi.Fleet. It returns the errors of dispatch.
func (d *Dispatcher) Refresh(ctx context.Context, t serverapi.Target, o serverapi.RefreshOptions) error {
	_, err := d.dispatch(ctx, command{
		Action:   actionRefresh,
		User:     t.User,
		Client:   t.Client,
		ExpireAt: o.ExpireAt,
		Expired:  o.Expired,
		Info:     o.Info,
	})
	return err
}

// Send implements serverapi.Fleet. It returns the errors of dispatch; reached then counts the clients that are known to
// have the message.
func (d *Dispatcher) Send(
	ctx context.Context, t serverapi.Target, data []byte, binary bool,
) (reached int, err error) {
	sum, err := d.dispatch(ctx, command{
		Action: actionSend,
		User:   t.User,
		Client: t.Client,
		Data:   data,
		Binary: binary,
	})
	return sum.Done, err
}

// methodConnections lists connections of a gateway.
const methodConnections = "connections"

// connectionsParams are the params of methodConnections: the connections of a user, the subscribers of a channel, or
// one connection. Gateways of other versions read the JSON.
type connectionsParams struct {
	User    string `json:"user,omitempty"`
	Channel string `json:"channel,omitempty"`
	Client  string `json:"client,omitempty"`
	// Limit is the maximum number of connections. 0 means no limit.
	Limit int `json:"limit"`
}

// Connections implements serverapi.Fleet. It returns an error that wraps broker.ErrUnavailable when a gateway did not
// answer.
func (d *Dispatcher) Connections(
	ctx context.Context, q serverapi.ConnectionQuery,
) ([]serverapi.Connection, error) {
	var gatewayIDs []string
	var err error
	if q.User != "" {
		gatewayIDs, err = d.options.Broker.Lookup(ctx, q.User)
	} else {
		gatewayIDs, err = d.allGateways(ctx)
	}
	if err != nil {
		return nil, err
	}
	return d.connections(ctx, gatewayIDs, connectionsParams{User: q.User, Channel: q.Channel, Limit: q.Limit})
}

// Connection implements serverapi.Fleet. It returns serverapi.ErrUnknownConnection, or an error that wraps
// broker.ErrUnavailable when the gateway did not answer.
func (d *Dispatcher) Connection(ctx context.Context, id string) (*serverapi.Connection, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return nil, serverapi.ErrUnknownConnection
	}
	gatewayIDs := []string{registry.GatewayOf(parsed).String()}
	found, err := d.connections(ctx, gatewayIDs, connectionsParams{Client: parsed.String(), Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, serverapi.ErrUnknownConnection
	}
	return &found[0], nil
}

// connections lists connections of gateways, the oldest first. It returns the errors of callAll.
func (d *Dispatcher) connections(
	ctx context.Context, gatewayIDs []string, p connectionsParams,
) ([]serverapi.Connection, error) {
	results, err := callAll[[]serverapi.Connection](ctx, d, gatewayIDs, methodConnections, p)
	if err != nil {
		return nil, err
	}
	out := []serverapi.Connection{}
	for _, list := range results {
		out = append(out, list...)
	}
	return oldest(out, p.Limit), nil
}

// localConnections executes methodConnections. Its error is always nil.
func (d *Dispatcher) localConnections(_ context.Context, p connectionsParams) ([]serverapi.Connection, error) {
	var candidates []protocol.Client
	if p.Client != "" || p.User != "" {
		candidates = d.targets(p.User, p.Client)
	} else {
		candidates = d.options.Clients.All()
	}
	out := []serverapi.Connection{}
	for _, c := range candidates {
		channels := c.Channels()
		if p.Channel != "" && !slices.Contains(channels, p.Channel) {
			continue
		}
		out = append(out, serverapi.Connection{
			ID:          c.Conn().ID(),
			User:        c.User(),
			Protocol:    c.Protocol(),
			RemoteIP:    c.Conn().RemoteIP().String(),
			ConnectedAt: c.Conn().OpenedAt(),
			QueuedBytes: c.Conn().QueuedBytes(),
			Channels:    channels,
			Node:        d.options.Name,
		})
	}
	return oldest(out, p.Limit), nil
}

// oldest sorts connections by their age and returns the oldest limit of them, or all when limit is 0. It may reorder
// found.
func oldest(found []serverapi.Connection, limit int) []serverapi.Connection {
	slices.SortFunc(found, func(a, b serverapi.Connection) int { return a.ConnectedAt.Compare(b.ConnectedAt) })
	if limit > 0 && len(found) > limit {
		found = found[:limit]
	}
	return found
}
