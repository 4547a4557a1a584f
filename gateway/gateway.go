// Package gateway is the data plane: it holds WebSocket connections and fans messages out between
// them and all other gateways of the cluster. New puts the parts together, Run lets them work.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/admin"
	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/certwatcher"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/gateway/drain"
	"github.com/wsfleet/wsfleet/gateway/fleet/control"
	"github.com/wsfleet/wsfleet/gateway/fleet/occupancy"
	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/metrics"
	"github.com/wsfleet/wsfleet/gateway/presence"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/protocol/centrifuge"
	"github.com/wsfleet/wsfleet/gateway/protocol/plain"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/console"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Times that nobody has had a reason to change.
const (
	brokerTimeout   = 5 * time.Second
	channelLinger   = 2 * time.Second
	idleTimeout     = time.Minute
	shutdownTimeout = 2 * time.Second
	// adminTimeout is how long a request to the private port may take to arrive.
	adminTimeout = 10 * time.Second
	// answerTimeout is how long an answer may take beyond the request.
	answerTimeout  = 10 * time.Second
	maxHeaderBytes = 16 << 10
	// CloseTimeout is how long a peer has to answer a close frame.
	CloseTimeout = 5 * time.Second
)

// Options are what a gateway gets besides its configuration.
type Options struct {
	Version string
	Logger  *slog.Logger
	// LogLevel is the level of Logger, for requests to the private port that read or change it. It may be nil.
	LogLevel *slog.LevelVar
	// CloseTimeout replaces the constant of that name when it is not 0.
	CloseTimeout time.Duration
	// WriteStallTimeout is how long a client may take to read what it asked for, unless it is 0.
	WriteStallTimeout time.Duration
	// OccupancyTTL is how long the channels of a gateway that is gone count as occupied, unless it is 0.
	OccupancyTTL time.Duration
}

// Gateway is one process's worth of data plane.
type Gateway struct {
	cfg     config.Config
	options Options
	log     *slog.Logger

	gatewayID registry.GatewayID
	metrics   *metrics.Metrics
	server    *transport.Server
	hub       *hub.Hub
	broker    broker.Broker
	tokens    *auth.Verifier
	hooks     *hooks.Hooks
	clients   *control.Clients
	presence  *presence.Keeper
	control   *control.Dispatcher
	// occupancy is there when the webhook wants to know of channels.
	occupancy *occupancy.Tracker
	drain     *drain.Machine
	// shut: the gateway ends at once, without a drain.
	shut atomic.Bool

	public, private         *http.Server
	publicListener, adminIn net.Listener
}

// New builds a gateway and takes its ports, so that a port in use is an error here. Run it, or its
// ports stay taken.
func New(ctx context.Context, cfg config.Config, o Options) (*Gateway, error) {
	if o.CloseTimeout == 0 {
		o.CloseTimeout = CloseTimeout
	}
	g := &Gateway{cfg: cfg, options: o, log: o.Logger, metrics: metrics.New(), gatewayID: registry.NewGatewayID()}
	for _, make := range []func() error{g.makeTokens, g.makeHooks, g.makeChannels, g.makeServer} {
		if err := make(); err != nil {
			return nil, err
		}
	}
	g.drain = drain.New(drain.Options{
		Timeout: cfg.DrainTimeout, PropagationDelay: cfg.DrainPropagationDelay, MaxPerSecond: cfg.DrainMaxClosesPerSecond,
		CloseTimeout: o.CloseTimeout, Connections: g.server, Closed: g.metrics.DrainClosed, Logger: g.log,
	})
	g.metrics.Watch(metrics.Sources{
		Version: o.Version, Connections: g.server.Open, Limit: g.server.Limit, Channels: g.hub.Channels,
		ConnectRate: cfg.ConnectRate, MessageRate: cfg.MessageRate, QueuedBytes: g.server.QueuedBytes, QueuedBytesLimit: cfg.MaxTotalQueuedBytes,
		Broker: g.broker.Status, State: g.drain.State, Users: func() int { _, users := g.clients.Count(); return users },
		WebhookQueue: g.hooks.Queued, BreakerOpen: g.hooks.BreakerOpen,
	})
	endpoints := g.endpoints()
	g.public, g.private = g.httpServer(g.publicHandler(endpoints), cfg.HandshakeTimeout), g.httpServer(g.adminHandler(), adminTimeout)
	if err := g.listen(ctx, endpoints); err != nil {
		g.server.Close()
		return nil, err
	}
	return g, nil
}

// makeServer builds the transport.
func (g *Gateway) makeServer() error {
	origins, err := transport.ParseOrigins(g.cfg.AllowedOrigins)
	if err != nil {
		return fmt.Errorf("%s: %w", contract.KeyAllowedOrigins, err)
	}
	proxies, err := transport.ParseProxies(g.cfg.TrustedProxies)
	if err != nil {
		return fmt.Errorf("%s: %w", contract.KeyTrustedProxies, err)
	}
	limit := g.connectionLimit()
	g.server = transport.NewServer(transport.Options{
		MaxConnections: limit, MaxConnectionsPerIP: g.cfg.MaxConnectionsPerIP,
		ConnectRate: g.cfg.ConnectRate, MessageRate: g.cfg.MessageRate,
		MaxMessageBytes: g.cfg.MaxMessageBytes, MaxQueuedBytes: g.cfg.MaxQueuedBytes, MaxTotalQueuedBytes: g.cfg.MaxTotalQueuedBytes,
		HandshakeTimeout: g.cfg.HandshakeTimeout, MaxHandshakes: handshakeLimit(limit), CloseTimeout: g.options.CloseTimeout, WriteStallTimeout: g.options.WriteStallTimeout,
		Origins: origins, Proxies: proxies, Compression: g.cfg.Compression,
		Header:   http.Header{contract.HeaderNode: {g.cfg.NodeName}},
		Admit:    g.admit,
		NewID:    g.gatewayID.NewID,
		Observer: g.metrics, Logger: g.log,
		Changed: func() { g.drain.Notify() },
	})
	return nil
}

// connectionLimit is the configured limit, or what the process's file descriptors can hold.
func (g *Gateway) connectionLimit() int {
	limit := g.cfg.MaxConnections
	if files, known := openFiles(); known {
		limit = holdable(limit, files)
	}
	if limit < g.cfg.MaxConnections {
		g.log.Warn("max-connections is more than the process may open: raise the limit of open files (ulimit -n)",
			slog.Int("configured", g.cfg.MaxConnections), slog.Int("effective", limit))
	}
	return limit
}

// reservedFiles are for everything that is no client: listeners, Redis, handshakes under way.
const reservedFiles = 200

// holdable is how many of the configured connections fit into a number of open files.
func holdable(configured int, files uint64) int {
	if files >= uint64(configured)+reservedFiles {
		return configured
	}
	return max(1, int(files)-reservedFiles)
}

// Bounds of how many clients may be at their handshake at once.
const (
	leastHandshakes = 64
	mostHandshakes  = 4096
)

// handshakeLimit leaves half of the file descriptors that connections cannot take to other things.
func handshakeLimit(connections int) int {
	files, known := openFiles()
	if !known {
		return mostHandshakes
	}
	return min(max(leastHandshakes, (int(min(files, math.MaxInt32))-connections)/2), mostHandshakes)
}

// admit refuses handshakes once load balancers have had time to notice a drain, or when the end is
// now: clients would come straight back. The affinity cookie is expired with the refusal, else a
// proxy would send the client here again.
func (g *Gateway) admit() *transport.Refusal {
	if g.drain.Accepting() && !g.shut.Load() {
		return nil
	}
	refusal := &transport.Refusal{Status: http.StatusServiceUnavailable, Reason: "draining", Message: "this gateway is going out of service; connect again", RetryAfter: time.Second}
	if g.cfg.AffinityCookie != "" {
		refusal.Cookie = &http.Cookie{Name: g.cfg.AffinityCookie, Path: g.cfg.AffinityCookiePath, MaxAge: -1, HttpOnly: true}
	}
	return refusal
}

// endpoints are where clients connect, by path, one for each protocol.
func (g *Gateway) endpoints() map[string]*transport.Endpoint {
	o := protocol.Options{
		Session: session.Options{
			Hub: g.hub, Broker: g.broker, Presence: g.presence, Anonymous: g.cfg.Anonymous, Tokens: g.tokens, Hooks: g.hooks,
			MaxChannels: g.cfg.MaxChannelsPerConnection, MaxHistoryBytes: g.cfg.MaxQueuedBytes, Coalescer: session.NewCoalescer(g.log),
			Timeout: brokerTimeout, Published: g.metrics.Published,
		},
		PingInterval: g.cfg.PingInterval, PongTimeout: g.cfg.PongTimeout,
		Node: g.cfg.NodeName, Version: g.options.Version, Logger: g.log,
		Joined: g.joined, Left: g.left,
	}
	endpoints := map[string]*transport.Endpoint{}
	for _, p := range []protocol.Protocol{
		plain.New(o),
		centrifuge.New(centrifuge.Options{Options: o, ConnectTimeout: g.cfg.ConnectTimeout, CommandFailed: g.metrics.CommandFailed}),
	} {
		endpoints[p.Path()] = new(p.Endpoint())
	}
	return endpoints
}

func (g *Gateway) publicHandler(endpoints map[string]*transport.Endpoint) http.Handler {
	mux := http.NewServeMux()
	for path, e := range endpoints {
		mux.Handle(path, g.server.Endpoint(*e))
	}
	mux.Handle(contract.PathAPI, serverapi.New(serverapi.Options{
		Keys: auth.NewAPIKeys(g.cfg.APIKey, g.cfg.APIPreviousKey), Fleet: g.control, CheckChannel: session.CheckChannel,
		MaxMessageBytes: g.cfg.MaxMessageBytes, Timeout: brokerTimeout, Served: g.metrics.APIRequest, Logger: g.log,
	}))
	return mux
}

func (g *Gateway) adminHandler() http.Handler {
	return admin.Handler(admin.Options{
		TokenDir: g.cfg.AdminTokenDir, Drain: g.drain, Report: g.Report, Connections: g.connections,
		Metrics: g.metrics.Handler(), LogLevel: g.options.LogLevel, Console: console.Files(), Logger: g.log,
	})
}

// httpServer serves requests that are complete within a time.
func (g *Gateway) httpServer(h http.Handler, within time.Duration) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: within, ReadTimeout: within, WriteTimeout: within + answerTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
}

// listen takes both ports.
func (g *Gateway) listen(ctx context.Context, endpoints map[string]*transport.Endpoint) error {
	var lc net.ListenConfig
	public, err := lc.Listen(ctx, "tcp", g.cfg.Listen)
	if err != nil {
		return fmt.Errorf("%s: %w", contract.KeyListen, err)
	}
	if g.publicListener, err = g.front(public, endpoints); err != nil {
		_ = public.Close()
		return err
	}
	if g.adminIn, err = lc.Listen(ctx, "tcp", g.cfg.AdminListen); err != nil {
		_ = g.publicListener.Close()
		return fmt.Errorf("%s: %w", contract.KeyAdminListen, err)
	}
	return nil
}

// front is what the public port's HTTP server accepts from. Behind TLS that is every client.
func (g *Gateway) front(public net.Listener, endpoints map[string]*transport.Endpoint) (net.Listener, error) {
	if g.cfg.TLSCertFile != "" {
		source, err := certwatcher.New(certwatcher.Options{
			CertFile: g.cfg.TLSCertFile, KeyFile: g.cfg.TLSKeyFile, Logger: g.log, Failed: g.metrics.CertificateFailed,
		})
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", contract.KeyTLSCertFile, contract.KeyTLSKeyFile, err)
		}
		return g.server.TLSListener(public, source.TLSConfig()), nil
	}
	l, err := g.server.HandshakeListener(public, endpoints)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", contract.KeyListen, err)
	}
	return l, nil
}

// Addr is the public port's address, AdminAddr the private one's.
func (g *Gateway) Addr() string { return g.publicListener.Addr().String() }

// AdminAddr is the private port's address.
func (g *Gateway) AdminAddr() string { return g.adminIn.Addr().String() }

// Terminate drains the gateway and then lets Run return. skipDelayIfIdle does not wait for load balancers
// when there are no connections.
func (g *Gateway) Terminate(reason string, skipDelayIfIdle bool) {
	g.drain.Start(drain.Request{Reason: reason, Final: true, SkipDelayIfIdle: skipDelayIfIdle})
}

// Run serves until a drain that Terminate began is over. When the context ends first, every
// connection is closed at once.
func (g *Gateway) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, work := errgroup.WithContext(work)
	for _, part := range g.parts() {
		group.Go(func() error { return part(work) })
	}
	group.Go(func() error { return serve(g.public, g.publicListener) })
	group.Go(func() error { return serve(g.private, g.adminIn) })
	group.Go(func() error {
		defer stop()
		select {
		case <-ctx.Done():
			g.closeNow()
		case <-g.drain.Ended():
		case <-work.Done():
			// A part has failed. Clients are told all the same.
			g.closeNow()
		}
		g.stopListening(context.WithoutCancel(ctx))
		g.takeLeave(context.WithoutCancel(ctx))
		return nil
	})
	g.log.Info("gateway serves", slog.String("node", g.cfg.NodeName), slog.String("version", g.options.Version),
		slog.String("listen", g.Addr()), slog.String("admin", g.AdminAddr()), slog.String("broker", g.broker.Kind()), slog.Int("maxConnections", g.server.Limit()))
	err := group.Wait()
	g.drain.Stop()
	g.server.Close()
	g.log.Info("gateway ended")
	return err
}

// closeNow closes all connections without a pace, but not without a word.
func (g *Gateway) closeNow() {
	g.shut.Store(true)
	g.server.CloseSome(g.server.Open())
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

// stopListening lets requests that are under way finish.
func (g *Gateway) stopListening(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	for _, s := range []*http.Server{g.public, g.private} {
		if err := s.Shutdown(ctx); err != nil {
			_ = s.Close()
		}
	}
}

func serve(s *http.Server, l net.Listener) error {
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}
