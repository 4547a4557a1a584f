package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/fleet/control"
	"github.com/wsfleet/wsfleet/gateway/fleet/occupancy"
	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/presence"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// makeTokens builds what verifies clients' tokens.
func (g *Gateway) makeTokens() (err error) {
	o := g.cfg.Tokens()
	o.Logger = g.log
	if g.tokens, err = auth.New(o); err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	return nil
}

// makeHooks builds what asks and tells the backend.
func (g *Gateway) makeHooks() (err error) {
	o := g.cfg.Hooks()
	o.Observer, o.Logger = g.metrics, g.log
	if g.hooks, err = hooks.New(o); err != nil {
		return fmt.Errorf("hooks: %w", err)
	}
	return nil
}

// makeChannels builds what carries messages, and what is kept of clients.
func (g *Gateway) makeChannels() error {
	if err := g.makeBroker(); err != nil {
		return err
	}
	o := hub.Options{
		Broker:            g.broker,
		UnsubscribeDelay:  channelLinger,
		SubscribeTimeout:  brokerTimeout,
		Rules:             g.cfg.Channels,
		MaxRecoveredBytes: g.cfg.MaxQueuedBytes,
		GapUnrepaired:     g.metrics.StreamGap,
		Logger:            g.log,
	}
	if g.hooks.Wants(hooks.Occupied) || g.hooks.Wants(hooks.Vacated) {
		g.occupancy = occupancy.New(occupancy.Options{
			Directory: g.broker, TTL: g.options.OccupancyTTL, Occupied: g.emitter(hooks.Occupied), Vacated: g.emitter(hooks.Vacated),
			Backpressure: func() bool { return g.hooks.Queued() > crowd }, Logger: g.log,
		})
		o.FirstSubscriber, o.LastUnsubscribed = g.occupancy.FirstSubscriber, g.occupancy.LastUnsubscribed
	}
	g.hub = hub.New(o)
	g.presence = presence.New(presence.Options{Broker: g.broker, Hub: g.hub, TTL: g.cfg.PresenceTTL, Grace: g.cfg.PresenceGrace, Logger: g.log})
	g.clients = registry.New[protocol.Client](registry.Options{Directory: g.broker, MaxPerUser: g.cfg.MaxConnectionsPerUser, Timeout: brokerTimeout, Logger: g.log})
	g.control = control.New(control.Options{
		GatewayID: g.gatewayID, Name: g.cfg.NodeName, Version: g.options.Version, Broker: g.broker, Hub: g.hub, Clients: g.clients,
		Published: g.metrics.Published, Logger: g.log,
	})
	return nil
}

// parts are what runs as long as the gateway.
func (g *Gateway) parts() []func(context.Context) error {
	parts := []func(context.Context) error{
		g.runBroker, g.hub.Run, g.presence.Run, g.clients.Run, g.control.Run, g.hooks.Run, g.tokens.Run,
	}
	if g.occupancy != nil {
		parts = append(parts, g.occupancy.Run)
	}
	return parts
}

// takeLeave tells the other gateways, as far as that goes quickly, what this one will not do any more.
func (g *Gateway) takeLeave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	leaving := []func(context.Context) error{g.presence.Flush, g.control.Withdraw, g.clients.Withdraw}
	if g.occupancy != nil {
		leaving = append(leaving, g.occupancy.Withdraw)
	}
	var group sync.WaitGroup
	for _, leave := range leaving {
		group.Go(func() {
			if err := leave(ctx); err != nil {
				g.log.Debug("not withdrawn: the others notice after a time", slog.Any("error", err))
			}
		})
	}
	group.Wait()
}

// joined takes a client in that said who it is.
func (g *Gateway) joined(ctx context.Context, c protocol.Client) error {
	if err := g.clients.Add(ctx, c.Conn().UUID(), c.User(), c); err != nil {
		return err
	}
	g.hooks.Emit(hooks.Event{Kind: hooks.Connected, Time: time.Now(), Client: c.Conn().ID(), User: c.User(), Protocol: c.Protocol()})
	return nil
}

// left is the end of a client that joined.
func (g *Gateway) left(c protocol.Client, why transport.Close) {
	g.clients.Remove(c.Conn().UUID())
	g.hooks.Emit(hooks.Event{
		Kind: hooks.Disconnected, Time: time.Now(), Client: c.Conn().ID(), User: c.User(), Protocol: c.Protocol(),
		Code: uint32(why.Code), Reason: why.Reason, //nolint:gosec // a close code
	})
}

// crowd is how many events may wait for the webhook before news of gateways that are gone wait in the broker: they
// come all at once, and must not take the place of others.
const crowd = 5_000

// emitter tells the webhook of channels.
func (g *Gateway) emitter(kind hooks.Kind) func(channels []string) {
	return func(channels []string) {
		for _, channel := range channels {
			g.hooks.Emit(hooks.Event{Kind: kind, Time: time.Now(), Channel: channel})
		}
	}
}
