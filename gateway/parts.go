package gateway

import (
	"fmt"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/drain"
	"github.com/wsfleet/wsfleet/gateway/fleet/control"
	"github.com/wsfleet/wsfleet/gateway/fleet/occupancy"
	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/presence"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/tail"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// parts are the parts of a gateway that do not serve a port.
type parts struct {
	tokens *auth.Verifier
	hooks  *hooks.Hooks
	broker broker.Broker
	// occupancy is nil unless the webhook wants the events occupied or vacated.
	occupancy *occupancy.Tracker
	hub       *hub.Hub
	presence  *presence.Keeper
	clients   *control.Clients
	control   *control.Dispatcher
	tails     *tail.Streams
	gate      *drain.Gate
	server    *transport.Server
	drain     *drain.Machine
}

// newParts returns the parts of a gateway, or an error that names the setting that one of them cannot use. Every
// constructor takes the parts that it needs from local variables, so that another order does not compile.
func (b base) newParts() (parts, error) {
	tokens, err := b.newTokens()
	if err != nil {
		return parts{}, err
	}
	callbacks, err := b.newHooks()
	if err != nil {
		return parts{}, err
	}
	shared, err := b.newBroker()
	if err != nil {
		return parts{}, err
	}
	gate := drain.NewGate()
	server, err := b.newServer(gate)
	if err != nil {
		return parts{}, err
	}
	tracker := b.newOccupancy(shared, callbacks)
	channels := b.newHub(shared, tracker)
	clients := b.newClients(shared)
	dispatcher := b.newControl(shared, channels, clients, gate)
	return parts{
		tokens:    tokens,
		hooks:     callbacks,
		broker:    shared,
		occupancy: tracker,
		hub:       channels,
		presence:  b.newPresence(shared, channels),
		clients:   clients,
		control:   dispatcher,
		tails:     b.newTails(channels, dispatcher),
		gate:      gate,
		server:    server,
		drain:     b.newDrain(gate, server, shared, dispatcher),
	}, nil
}

// newTokens returns what verifies the tokens of clients, or the error of auth.New.
func (b base) newTokens() (*auth.Verifier, error) {
	o := b.cfg.Tokens()
	o.Logger = b.log
	tokens, err := auth.New(o)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	return tokens, nil
}

// newHooks returns what calls the backend, or the error of hooks.New.
func (b base) newHooks() (*hooks.Hooks, error) {
	o := b.cfg.Hooks()
	o.Observer, o.Logger = b.metrics, b.log
	h, err := hooks.New(o)
	if err != nil {
		return nil, fmt.Errorf("hooks: %w", err)
	}
	return h, nil
}

// webhookBacklog is the number of events that wait for the webhook above which the channels of crashed gateways wait in
// the broker: they are reported all at once, and would take the queue from other events.
const webhookBacklog = 5_000

// newOccupancy returns what reports occupied and vacated channels to the webhook, or nil when the webhook wants
// neither.
func (b base) newOccupancy(directory broker.Occupancy, h *hooks.Hooks) *occupancy.Tracker {
	if !h.Wants(hooks.Occupied) && !h.Wants(hooks.Vacated) {
		return nil
	}
	return occupancy.New(occupancy.Options{
		Directory:    directory,
		TTL:          b.options.OccupancyTTL,
		Occupied:     emitter(h, hooks.Occupied),
		Vacated:      emitter(h, hooks.Vacated),
		Backpressure: func() bool { return h.Queued() > webhookBacklog },
		Logger:       b.log,
	})
}

// emitter returns a function that sends one event of a kind to the webhook for each channel.
func emitter(h *hooks.Hooks, kind hooks.Kind) func(channels []string) {
	return func(channels []string) {
		for _, channel := range channels {
			h.Emit(hooks.Event{Kind: kind, Time: time.Now(), Channel: channel})
		}
	}
}

// newHub returns the hub. tracker may be nil.
func (b base) newHub(shared hub.Broker, tracker *occupancy.Tracker) *hub.Hub {
	o := hub.Options{
		Broker:            shared,
		UnsubscribeDelay:  unsubscribeDelay,
		SubscribeTimeout:  brokerTimeout,
		Rules:             b.cfg.Channels,
		MaxRecoveredBytes: b.cfg.MaxQueuedBytes,
		GapUnrepaired:     b.metrics.StreamGap,
		Logger:            b.log,
	}
	if tracker != nil {
		o.FirstSubscriber, o.LastUnsubscribed = tracker.FirstSubscriber, tracker.LastUnsubscribed
	}
	return hub.New(o)
}

func (b base) newPresence(shared presence.Broker, h *hub.Hub) *presence.Keeper {
	return presence.New(presence.Options{
		Broker: shared,
		Hub:    h,
		TTL:    b.cfg.PresenceTTL,
		Grace:  b.cfg.PresenceGrace,
		Logger: b.log,
	})
}

func (b base) newClients(directory broker.UserDirectory) *control.Clients {
	o := registry.Options[protocol.Client]{
		Directory:   directory,
		MaxPerUser:  b.cfg.MaxConnectionsPerUser,
		Replaceable: protocol.Client.Replaceable,
		Timeout:     brokerTimeout,
		Logger:      b.log,
	}
	if b.cfg.ConnectionsPerUserPolicy == contract.PerUserCloseOldest {
		o.Replace = protocol.Client.Replace
	}
	return registry.New(o)
}

func (b base) newControl(
	shared control.Broker, h *hub.Hub, clients *control.Clients, gate *drain.Gate,
) *control.Dispatcher {
	return control.New(control.Options{
		GatewayID:        b.gatewayID,
		Name:             b.cfg.NodeName,
		Version:          b.options.Version,
		Process:          newUsageMeter().measure,
		Broker:           shared,
		Hub:              h,
		Clients:          clients,
		Serving:          gate.Serving,
		PropagationDelay: b.cfg.DrainPropagationDelay,
		Published:        b.metrics.Published,
		Logger:           b.log,
	})
}

// newTails returns the streams of channels for the private port.
func (b base) newTails(h *hub.Hub, fleet *control.Dispatcher) *tail.Streams {
	return tail.New(tail.Options{
		Hub:          h,
		History:      fleet.History,
		CheckChannel: session.CheckChannel,
		// Half of what the hub lets a subscriber recover, because more may come while it is read.
		MaxHistoryBytes: b.cfg.MaxQueuedBytes / 2,
	})
}

// newDrain returns what drains the gateway. Only a broker that gateways share knows the others.
func (b base) newDrain(
	gate *drain.Gate, server *transport.Server, shared broker.Broker, fleet *control.Dispatcher,
) *drain.Machine {
	o := drain.Options{
		Timeout:          b.cfg.DrainTimeout,
		PropagationDelay: b.cfg.DrainPropagationDelay,
		MaxPerSecond:     b.cfg.DrainMaxClosesPerSecond,
		CloseTimeout:     b.options.CloseTimeout,
		Gate:             gate,
		Connections:      server,
		Closed:           b.metrics.DrainClosed,
		Logger:           b.log,
	}
	if shared.Kind() != contract.BrokerMemory {
		o.AnotherServes = fleet.AnotherServes
	}
	return drain.New(o)
}
