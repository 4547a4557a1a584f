package gateway

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/wsfleet/wsfleet/gateway/drain"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// newServer returns the transport, or an error that names the setting that it cannot use.
func (b base) newServer(gate *drain.Gate) (*transport.Server, error) {
	origins, err := transport.ParseOrigins(b.cfg.AllowedOrigins)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", contract.KeyAllowedOrigins, err)
	}
	if b.cfg.OriginAnyPort {
		origins = origins.WithAnyPort()
	}
	proxies, err := transport.ParseProxies(b.cfg.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", contract.KeyTrustedProxies, err)
	}
	limit := b.connectionLimit()
	return transport.NewServer(transport.Options{
		MaxConnections:      limit,
		MaxConnectionsPerIP: b.cfg.MaxConnectionsPerIP,
		ConnectRate:         b.cfg.ConnectRate,
		MessageRate:         b.cfg.MessageRate,
		MaxMessageBytes:     b.cfg.MaxMessageBytes,
		MaxQueuedBytes:      b.cfg.MaxQueuedBytes,
		MaxTotalQueuedBytes: b.cfg.MaxTotalQueuedBytes,
		HandshakeTimeout:    b.cfg.HandshakeTimeout,
		MaxHandshakes:       handshakeLimit(limit),
		RefusalDelay:        b.cfg.RefusalDelay,
		CloseTimeout:        b.options.CloseTimeout,
		WriteStallTimeout:   b.options.WriteStallTimeout,
		Origins:             origins,
		Proxies:             proxies,
		ProxyProtocol:       proxyProtocol(b.cfg.ProxyProtocol),
		Compression:         b.cfg.Compression,
		Affinity:            b.affinity(),
		Header:              http.Header{contract.HeaderNode: {b.cfg.NodeName}},
		Admit:               b.admit(gate),
		NewID:               b.gatewayID.NewID,
		Observer:            b.metrics,
		Logger:              b.log,
		Changed:             gate.Notify,
	}), nil
}

// proxyProtocol returns the transport's value of a value of contract.KeyProxyProtocol.
func proxyProtocol(mode string) transport.ProxyProtocol {
	switch mode {
	case contract.ProxyProtocolOptional:
		return transport.ProxyProtocolOptional
	case contract.ProxyProtocolRequired:
		return transport.ProxyProtocolRequired
	default:
		return transport.ProxyProtocolDisabled
	}
}

// admit returns a function that refuses handshakes while the gate is closed: load balancers have had time to notice the
// drain, and clients that were closed would come straight back.
func (b base) admit(gate *drain.Gate) func() *transport.Refusal {
	return func() *transport.Refusal {
		if gate.Accepting() {
			return nil
		}
		return &transport.Refusal{
			Status:        http.StatusServiceUnavailable,
			Reason:        "draining",
			Message:       "this gateway is going out of service; connect again",
			RetryAfter:    time.Second,
			Elsewhere:     true,
			AnotherServes: gate.AnotherServes(),
		}
	}
}

// affinity returns the proxies' affinity cookie, or nil where none is configured.
func (b base) affinity() *transport.AffinityCookie {
	if b.cfg.AffinityCookie == "" {
		return nil
	}
	return &transport.AffinityCookie{
		Name:   b.cfg.AffinityCookie,
		Path:   b.cfg.AffinityCookiePath,
		Value:  b.cfg.AffinityValue(),
		Secure: b.cfg.TLSCertFile != "",
	}
}

// connectionLimit returns the maximum number of connections: the configured one, or fewer when the process may not open
// as many files.
func (b base) connectionLimit() int {
	limit := b.cfg.MaxConnections
	if files, known := maxOpenFiles(); known {
		limit = connectionsWithin(limit, files)
	}
	if limit < b.cfg.MaxConnections {
		b.log.Warn("max-connections is more than the process may open: raise the limit of open files (ulimit -n)",
			slog.Int("configured", b.cfg.MaxConnections), slog.Int("effective", limit))
	}
	return limit
}

// reservedFiles is the number of open files kept for listeners, Redis and handshakes.
const reservedFiles = 200

// connectionsWithin returns how many of the configured connections fit into a number of open files, at least 1.
func connectionsWithin(configured int, files uint64) int {
	if files >= uint64(configured)+reservedFiles {
		return configured
	}
	return max(1, int(files)-reservedFiles)
}

// Bounds of the number of clients that are in their handshake at once.
const (
	minHandshakes = 64
	maxHandshakes = 4096
)

// handshakeLimit returns the maximum number of handshakes at once. It leaves as many of the open files that connections
// cannot take to refusals that are held back, and reservedFiles to all else.
func handshakeLimit(connections int) int {
	files, known := maxOpenFiles()
	if !known {
		return maxHandshakes
	}
	return min(max(minHandshakes, (int(min(files, math.MaxInt32))-connections-reservedFiles)/2), maxHandshakes)
}
