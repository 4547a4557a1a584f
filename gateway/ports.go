package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/wsfleet/wsfleet/gateway/admin"
	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/certwatcher"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/console"
	"github.com/wsfleet/wsfleet/internal/contract"
)

const (
	// adminIdleTimeout is how long a connection to the private port may be without a request.
	adminIdleTimeout = time.Minute
	// adminTimeout is how long a request to the private port may take to arrive.
	adminTimeout = 10 * time.Second
	// answerTimeout is how long an answer may take after the request.
	answerTimeout = 10 * time.Second
	// maxHeaderBytes is the maximum size of a request's header.
	maxHeaderBytes = 16 << 10
)

// port is a listener and the server of its requests.
type port struct {
	listener net.Listener
	server   *http.Server
}

// serve serves requests until the server is shut down, and then returns nil.
func (p port) serve() error {
	if err := p.server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", p.listener.Addr(), err)
	}
	return nil
}

// Addr returns the public port's address.
func (g *Gateway) Addr() string { return g.public.listener.Addr().String() }

// AdminAddr returns the private port's address.
func (g *Gateway) AdminAddr() string { return g.private.listener.Addr().String() }

// listen takes both ports, or neither and returns an error that names the setting.
func (g *Gateway) listen(ctx context.Context) error {
	endpoints, api := g.endpoints(), g.serverAPI()
	var lc net.ListenConfig
	public, err := lc.Listen(ctx, "tcp", g.cfg.Listen)
	if err != nil {
		return fmt.Errorf("%s: %w", contract.KeyListen, err)
	}
	upgrading, err := g.publicListener(public, endpoints)
	if err != nil {
		_ = public.Close()
		return err
	}
	private, err := lc.Listen(ctx, "tcp", g.cfg.AdminListen)
	if err != nil {
		_ = upgrading.Close()
		return fmt.Errorf("%s: %w", contract.KeyAdminListen, err)
	}
	handler := g.publicHandler(endpoints, api)
	g.public = port{upgrading, g.httpServer(handler, g.cfg.HandshakeTimeout, g.cfg.HTTPIdleTimeout)}
	g.private = port{private, g.httpServer(g.adminHandler(api), adminTimeout, adminIdleTimeout)}
	// The server waits for answers that are under way.
	g.private.server.RegisterOnShutdown(g.tails.End)
	return nil
}

// publicListener returns the listener of the public port's HTTP server. With TLS it returns every connection; without,
// the transport takes handshakes itself and it returns the other requests.
func (g *Gateway) publicListener(public net.Listener, endpoints map[string]*transport.Endpoint) (net.Listener, error) {
	if g.cfg.TLSCertFile != "" {
		source, err := certwatcher.New(certwatcher.Options{
			CertFile: g.cfg.TLSCertFile,
			KeyFile:  g.cfg.TLSKeyFile,
			Logger:   g.log,
			Failed:   g.metrics.CertificateFailed,
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

// serverAPI returns the server API, which both ports serve.
func (g *Gateway) serverAPI() *serverapi.API {
	return serverapi.New(serverapi.Options{
		Keys:            auth.NewAPIKeys(g.cfg.APIKey, g.cfg.APIPreviousKey),
		Fleet:           g.control,
		CheckChannel:    session.CheckChannel,
		MaxMessageBytes: g.cfg.MaxMessageBytes,
		Timeout:         brokerTimeout,
		Served:          g.metrics.APIRequest,
		Logger:          g.log,
	})
}

func (g *Gateway) publicHandler(endpoints map[string]*transport.Endpoint, api http.Handler) http.Handler {
	mux := http.NewServeMux()
	for pattern, e := range endpoints {
		mux.Handle(pattern, g.server.Endpoint(*e))
	}
	mux.Handle(contract.PathAPI, api)
	if g.cfg.PublicHealth {
		health := admin.PublicHealthHandler(admin.Options{Drain: g.drain, Report: g.Report})
		mux.Handle(contract.PathLivez, health)
		mux.Handle(contract.PathReadyz, health)
	}
	return mux
}

func (g *Gateway) adminHandler(api *serverapi.API) http.Handler {
	return admin.Handler(admin.Options{
		TokenDir:    g.cfg.AdminTokenDir,
		Drain:       g.drain,
		Report:      g.Report,
		Connections: g.connections,
		API:         api.WithoutKey(),
		Tail:        g.tails,
		Metrics:     g.metrics.Handler(),
		LogLevel:    g.options.LogLevel,
		Console:     console.Files(),
		Logger:      g.log,
	})
}

// httpServer returns a server for requests that arrive completely within a time. It closes connections that have been
// without a request for the time idle.
func (b base) httpServer(h http.Handler, within, idle time.Duration) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: within,
		ReadTimeout:       within,
		WriteTimeout:      within + answerTimeout,
		IdleTimeout:       idle,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
	}
}
