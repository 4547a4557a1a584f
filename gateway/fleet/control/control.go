// Package control does for the server API what it asks of the fleet: messages go through the broker;
// what concerns clients goes to the gateways that hold them, which are asked by their peers.
//
// channels.go is what concerns channels, clients.go what concerns clients, orders.go how gateways are
// told and what they do with it, about.go what they say of themselves.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/fleet/rpc"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
)

// Clients are the registry of this gateway.
type Clients = registry.Registry[protocol.Client]

// Broker is what the backend needs of the broker.
type Broker interface {
	broker.Publisher
	broker.History
	broker.PresenceReader
	broker.Directory
	// Revoke is that of broker.Revocations and returns its errors.
	Revoke(ctx context.Context, user string, until time.Time) error
}

// Options are what a Backend is made of.
type Options struct {
	Instance registry.GatewayID
	// Node and Version are what this gateway says of itself.
	Node, Version string
	Broker        Broker
	Hub           *hub.Hub
	Clients       *Clients
	// Published counts attempts to publish.
	Published func(took time.Duration, err error)
	Logger    *slog.Logger
}

// Backend implements serverapi.Backend.
type Backend struct {
	options Options
	peers   *rpc.Peers
	started time.Time
	// announcing is one place: what the fleet is told comes in order. withdrawn is that place's.
	announcing chan struct{}
	withdrawn  bool
}

var _ serverapi.Backend = (*Backend)(nil)

// New returns a backend. Hand it what the broker hears, and run it.
func New(o Options) *Backend {
	b := &Backend{options: o, started: time.Now(), announcing: make(chan struct{}, 1)}
	b.peers = rpc.New(rpc.Options{
		Instance: o.Instance.String(), Sender: o.Broker, Logger: o.Logger,
		Handlers: map[string]rpc.Handler{
			questionOrder:       answer(b.obey),
			questionConnections: answer(b.listHere),
			questionChannels:    answer(b.channelsHere),
		},
	})
	return b
}

// answer decodes a question for its handler.
func answer[Q, A any](handle func(ctx context.Context, question Q) (A, error)) rpc.Handler {
	return func(ctx context.Context, arguments json.RawMessage) (any, error) {
		var q Q
		if err := json.Unmarshal(arguments, &q); err != nil {
			return nil, fmt.Errorf("question not understood: %w", err)
		}
		return handle(ctx, q)
	}
}

// OnMessage implements broker.MessageHandler.
func (b *Backend) OnMessage(message []byte) { b.peers.OnMessage(message) }

// errSilent is a gateway that should have done something and has not said that it did.
var errSilent = errors.New("a gateway of the fleet does not answer")

// ask asks gateways and decodes their answers. silent: some that are there did not answer.
func ask[A any](ctx context.Context, b *Backend, instances []string, question string, arguments any) (answers map[string]A, silent bool, err error) {
	r, err := b.peers.Ask(ctx, instances, question, arguments)
	if err != nil {
		return nil, false, err
	}
	answers = make(map[string]A, len(r.Answers))
	for instance, encoded := range r.Answers {
		var a A
		if err := json.Unmarshal(encoded, &a); err != nil {
			return nil, false, fmt.Errorf("answer of a gateway not understood: %w", err)
		}
		answers[instance] = a
	}
	return answers, len(r.Silent) > 0, nil
}

// everybody are the gateways of the fleet.
func (b *Backend) everybody(ctx context.Context) ([]string, error) {
	known, err := b.options.Broker.Gateways(ctx)
	if err != nil {
		return nil, err
	}
	out := []string{b.options.Instance.String()}
	for instance := range known {
		if instance != out[0] {
			out = append(out, instance)
		}
	}
	return out, nil
}
