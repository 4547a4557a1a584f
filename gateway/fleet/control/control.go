// Package control carries out what the server API asks of the fleet. Publications, history and presence go to the
// broker. What concerns clients goes as a command or a query to the gateways that hold these clients, through package
// rpc; package registry knows the clients of this gateway, and its directory knows which gateways hold a user.
//
// channels.go has the calls that concern channels and clients.go those that concern clients. commands.go dispatches a
// command to gateways and executes it on one of them. announce.go keeps the list of the fleet's gateways.
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

// Clients is the registry of this gateway's clients.
type Clients = registry.Registry[protocol.Client]

// Broker is the part of the broker that a Dispatcher uses.
type Broker interface {
	broker.Publisher
	broker.History
	broker.PresenceReader
	broker.Directory
	// Revoke implements broker.Revocations and returns its errors.
	Revoke(ctx context.Context, user string, until time.Time) error
}

// Options configure a Dispatcher.
type Options struct {
	GatewayID registry.GatewayID
	// Name is the name of this gateway in the server API: its pod's name.
	Name string
	// Version is the version of the program.
	Version string
	Broker  Broker
	Hub     *hub.Hub
	Clients *Clients
	// Process returns what the process uses, or nil where it is not known. It may be nil, which knows nothing.
	Process func() *serverapi.Process
	// Serving reports whether this gateway neither drains nor ends.
	Serving func() bool
	// PropagationDelay is how long load balancers may take to notice a gateway.
	PropagationDelay time.Duration
	// Published is called after every attempt to publish with the time that it took and its error.
	Published func(took time.Duration, err error)
	Logger    *slog.Logger
}

// Dispatcher implements serverapi.Fleet. It is safe for use by many goroutines.
type Dispatcher struct {
	options Options
	peer    *rpc.Peer
	started time.Time
	// announcing is a lock with room for one token. It guards withdrawn and keeps announcements in order.
	announcing chan struct{}
	// withdrawn means that this gateway is not to be announced any more.
	withdrawn bool
}

var _ serverapi.Fleet = (*Dispatcher)(nil)

// New returns a Dispatcher. The caller passes it to the broker, which calls OnMessage, and calls Run.
func New(o Options) *Dispatcher {
	if o.Process == nil {
		o.Process = func() *serverapi.Process { return nil }
	}
	d := &Dispatcher{options: o, started: time.Now(), announcing: make(chan struct{}, 1)}
	d.peer = rpc.New(rpc.Options{
		GatewayID: o.GatewayID.String(),
		Sender:    o.Broker,
		Logger:    o.Logger,
		Handlers: map[string]rpc.Handler{
			methodCommand:     handler(d.execute),
			methodConnections: handler(d.localConnections),
			methodChannels:    handler(d.localChannels),
		},
	})
	return d
}

// handler returns an rpc.Handler that decodes the params for handle.
func handler[P, R any](handle func(ctx context.Context, params P) (R, error)) rpc.Handler {
	return func(ctx context.Context, encoded json.RawMessage) (any, error) {
		var params P
		if err := json.Unmarshal(encoded, &params); err != nil {
			return nil, fmt.Errorf("params not understood: %w", err)
		}
		return handle(ctx, params)
	}
}

// OnMessage implements broker.MessageHandler. It takes a message of another gateway and does not block.
func (d *Dispatcher) OnMessage(message []byte) { d.peer.OnMessage(message) }

// errNoAnswer is returned when a gateway may not have done what it was asked for.
var errNoAnswer = errors.New("a gateway of the fleet does not answer")

// call calls a method of gateways and decodes the results, which it returns by gateway ID. complete is false when a
// gateway that exists returned no result. It returns an error when params or a result have the wrong shape.
func call[R any](ctx context.Context, d *Dispatcher, gatewayIDs []string, method string, params any) (
	results map[string]R, complete bool, err error,
) {
	r, err := d.peer.Call(ctx, gatewayIDs, method, params)
	if err != nil {
		return nil, false, err
	}
	results = make(map[string]R, len(r.ByGateway))
	for gatewayID, encoded := range r.ByGateway {
		var result R
		if err := json.Unmarshal(encoded, &result); err != nil {
			return nil, false, fmt.Errorf("result of a gateway not understood: %w", err)
		}
		results[gatewayID] = result
	}
	return results, len(r.Failed) == 0, nil
}

// callAll is call for queries, whose answer is of no use unless it is complete. It returns an error that wraps
// broker.ErrUnavailable when a gateway returned no result.
func callAll[R any](ctx context.Context, d *Dispatcher, gatewayIDs []string, method string, params any) (
	map[string]R, error,
) {
	results, complete, err := call[R](ctx, d, gatewayIDs, method, params)
	if err != nil {
		return nil, err
	}
	if !complete {
		return nil, fmt.Errorf("%w: %w", broker.ErrUnavailable, errNoAnswer)
	}
	return results, nil
}

// allGateways returns the IDs of all gateways of the fleet. It returns the broker's error.
func (d *Dispatcher) allGateways(ctx context.Context) ([]string, error) {
	announced, err := d.options.Broker.Gateways(ctx)
	if err != nil {
		return nil, err
	}
	out := []string{d.options.GatewayID.String()}
	for id := range announced {
		if id != out[0] {
			out = append(out, id)
		}
	}
	return out, nil
}
