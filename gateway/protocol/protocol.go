// Package protocol says what a client protocol is to the gateway: a path, and an endpoint whose
// handlers translate between frames and a session. Each protocol is a package of its own.
package protocol

import (
	"context"
	"log/slog"
	"time"

	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// Protocol is one way for clients to speak to the gateway.
type Protocol interface {
	Path() string
	Endpoint() transport.Endpoint
}

// Options are what every protocol is made of.
type Options struct {
	Session session.Options
	// PingInterval and PongTimeout are the heartbeat's.
	PingInterval time.Duration
	PongTimeout  time.Duration
	// Node and Version are told to clients that ask.
	Node    string
	Version string
	Logger  *slog.Logger
	// Joined takes a client in that said who it is, before it is told so; an error refuses it. Left is
	// called once for every client that joined.
	Joined func(ctx context.Context, c Client) error
	Left   func(c Client, why transport.Close)
}
