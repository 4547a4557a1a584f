// Package gateway is the data plane: one process that holds WebSocket connections and fans messages out between them
// and the connections of all other gateways of the fleet. The command gateway uses it.
//
// New makes the parts (parts.go) and takes the ports (ports.go); Run lets them work until a drain is over. clients.go
// is what happens when a client connects and disconnects, report.go what the private port shows.
package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/gateway/drain"
	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/metrics"
	"github.com/wsfleet/wsfleet/gateway/protocol"
)

const (
	// brokerTimeout is how long a client's request may wait for the broker.
	brokerTimeout = 5 * time.Second
	// unsubscribeDelay is how long a channel without subscribers stays subscribed at the broker.
	unsubscribeDelay = 2 * time.Second
	// shutdownTimeout is how long the end of the process may wait for requests, and for calls to the broker.
	shutdownTimeout = 2 * time.Second
	// CloseTimeout is how long a client has to answer a close frame, unless an option says otherwise.
	CloseTimeout = 5 * time.Second
)

// Options are what a gateway gets besides its configuration.
type Options struct {
	Version string
	Logger  *slog.Logger
	// LogLevel is the level of Logger, for requests to the private port that read or change it. It may be nil.
	LogLevel *slog.LevelVar
	// CloseTimeout replaces the constant of that name unless it is 0.
	CloseTimeout time.Duration
	// WriteStallTimeout is how long a client may take to read what it asked for. 0 means the transport's default.
	WriteStallTimeout time.Duration
	// OccupancyTTL is how long the channels of a crashed gateway count as occupied. 0 means the default.
	OccupancyTTL time.Duration
	// Protocols makes client protocols that the gateway speaks besides its own.
	Protocols []protocol.Factory
}

// base is what every part is made with.
type base struct {
	cfg     config.Config
	options Options
	log     *slog.Logger
	// gatewayID is this start of the gateway. It begins the ID of every connection.
	gatewayID registry.GatewayID
	metrics   *metrics.Metrics
}

// Gateway is one gateway of a fleet.
type Gateway struct {
	base
	parts
	startedAt       time.Time
	public, private port
}

// New returns a gateway that listens on both ports and does not serve them yet. It returns an error that names the
// setting when a setting cannot be used or a port cannot be listened on. The caller calls Run, which closes the ports.
func New(ctx context.Context, cfg config.Config, o Options) (*Gateway, error) {
	if o.CloseTimeout == 0 {
		o.CloseTimeout = CloseTimeout
	}
	b := base{cfg: cfg, options: o, log: o.Logger, gatewayID: registry.NewGatewayID(), metrics: metrics.New()}
	p, err := b.newParts()
	if err != nil {
		return nil, err
	}
	g := &Gateway{base: b, parts: p, startedAt: time.Now()}
	g.watch()
	if err := g.listen(ctx); err != nil {
		g.server.Close()
		return nil, err
	}
	return g, nil
}

// watch declares the metrics that are read from the parts.
func (g *Gateway) watch() {
	g.metrics.Watch(metrics.Sources{
		Version:          g.options.Version,
		Connections:      g.server.Open,
		Limit:            g.server.Limit,
		ConnectRate:      g.cfg.ConnectRate,
		MessageRate:      g.cfg.MessageRate,
		QueuedBytes:      g.server.QueuedBytes,
		HeldRefusals:     g.server.HeldRefusals,
		QueuedBytesLimit: g.cfg.MaxTotalQueuedBytes,
		Channels:         g.hub.Channels,
		Broker:           g.broker.Status,
		State:            g.drain.State,
		Users:            func() int { _, users := g.clients.Count(); return users },
		WebhookQueue:     g.hooks.Queued,
		BreakerOpen:      g.hooks.BreakerOpen,
	})
}

// Terminate drains the gateway and then lets Run return. With skipDelayIfIdle the drain does not wait for load
// balancers while there are no connections.
func (g *Gateway) Terminate(reason string, skipDelayIfIdle bool) {
	g.drain.Start(drain.Request{Reason: reason, Final: true, SkipDelayIfIdle: skipDelayIfIdle})
}

// Run serves until a drain that Terminate began is over. When the context ends before, it closes every connection at
// once. It returns the first error of a part that failed, or of a port that cannot be served.
func (g *Gateway) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, work := errgroup.WithContext(work)
	for _, run := range g.runners() {
		group.Go(func() error { return run(work) })
	}
	group.Go(g.public.serve)
	group.Go(g.private.serve)
	group.Go(func() error {
		defer stop()
		select {
		case <-ctx.Done():
			g.closeNow()
		case <-g.drain.Ended():
		case <-work.Done():
			// A part has failed. Clients still get a close frame.
			g.closeNow()
		}
		g.stopListening(context.WithoutCancel(ctx))
		g.withdraw(context.WithoutCancel(ctx))
		return nil
	})
	g.log.Info("gateway serves",
		slog.String("node", g.cfg.NodeName), slog.String("version", g.options.Version),
		slog.String("listen", g.Addr()), slog.String("admin", g.AdminAddr()),
		slog.String("broker", g.broker.Kind()), slog.Int("maxConnections", g.server.Limit()))
	err := group.Wait()
	g.drain.Stop()
	g.server.Close()
	g.log.Info("gateway ended")
	return err
}

// runners returns the Run methods of the parts. They run until the gateway ends.
func (g *Gateway) runners() []func(context.Context) error {
	runners := []func(context.Context) error{
		g.runBroker, g.hub.Run, g.presence.Run, g.clients.Run, g.control.Run, g.hooks.Run, g.tokens.Run,
	}
	if g.occupancy != nil {
		runners = append(runners, g.occupancy.Run)
	}
	return runners
}

// closeNow closes all connections at once. Clients get a close frame and a short time to answer it.
func (g *Gateway) closeNow() {
	g.gate.Shut()
	g.server.CloseSome(g.server.Open(), time.Time{})
	deadline := time.NewTimer(shutdownTimeout / 4)
	defer deadline.Stop()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for g.server.Open() > 0 {
		select {
		case <-deadline.C:
			g.server.Abort()
			return
		case <-poll.C:
		}
	}
}

// stopListening waits a short time for the requests that are under way.
func (g *Gateway) stopListening(ctx context.Context) {
	g.server.ReleaseRefusals()
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	for _, s := range []*http.Server{g.public.server, g.private.server} {
		if err := s.Shutdown(ctx); err != nil {
			_ = s.Close()
		}
	}
}

// withdraw removes from the broker what it keeps of this gateway, as far as that takes a short time. What stays
// expires.
func (g *Gateway) withdraw(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	calls := []func(context.Context) error{g.presence.Flush, g.control.Withdraw, g.clients.Withdraw}
	if g.occupancy != nil {
		calls = append(calls, g.occupancy.Withdraw)
	}
	var group sync.WaitGroup
	for _, call := range calls {
		group.Go(func() {
			if err := call(ctx); err != nil {
				g.log.Debug("not withdrawn: the others notice after a time", slog.Any("error", err))
			}
		})
	}
	group.Wait()
}
