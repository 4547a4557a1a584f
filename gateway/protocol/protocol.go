// Package protocol defines what a client protocol is to the gateway, and holds the parts that all protocols share. The
// gateway's table of protocols (gateway/protocols.go) uses it. Each protocol is a package of its own: plain,
// centrifuge.
//
// A protocol consists of a Protocol, which says where its clients connect, and a handler for each connection, which
// embeds Base, implements transport.Handler, hub.Subscriber and Client, and translates between the protocol's frames
// and its session. docs/protocols.md has the recipe for a new one; test/echo is the smallest example.
package protocol

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// Protocol is one way for clients to speak to the gateway.
type Protocol interface {
	// Patterns returns the paths where clients connect, as patterns of net/http's ServeMux without method and host:
	// "/ws", or with variables "/app/{key}". The endpoint's Accept reads a variable with Request.PathValue.
	Patterns() []string
	// Endpoint returns what accepts the handshakes on these paths.
	Endpoint() transport.Endpoint
}

// Factory makes a protocol for a gateway.
type Factory func(Options) Protocol

// Options are what every protocol is made of.
type Options struct {
	// Session holds what the sessions of all clients share.
	Session session.Options
	// PingInterval is the time between two pings, PongTimeout the time that a client has to answer one.
	PingInterval time.Duration
	PongTimeout  time.Duration
	// DrainCode is the code with which a drain closes clients of a protocol that has no close codes of its own. 0 means
	// that of StandardCodes.
	DrainCode int
	// Node and Version are told to clients that ask for them.
	Node    string
	Version string
	Logger  *slog.Logger
	// MayJoin returns registry.ErrTooManyConnections while a client of this user could not join. IdentifyHandshake calls
	// it. Nil: every client may.
	MayJoin func(user string) error
	// Joined registers a client that is identified, before the client is told so; an error refuses the client. Base.Join
	// calls it.
	Joined func(ctx context.Context, c Client) error
	// Left is called once for every client that joined. Base.Leave calls it.
	Left func(c Client, why transport.Close)
}

// IdentifyHandshake finds out a client's identity by the token in its handshake, for protocols whose clients say
// nothing else about themselves. name is the protocol's and channels those that the client asks for. It returns a
// *transport.Refusal for a malformed token, the errors of session.Options.Identify, or registry.ErrTooManyConnections.
// RefusalFor turns them into an answer. A client waits longer after each handshake that is refused, and comes straight
// back to a connection that is closed.
func (o *Options) IdentifyHandshake(r *http.Request, name string, channels []string) (session.Identity, error) {
	token, _, err := auth.BearerToken(r)
	if err != nil {
		return session.Identity{}, BadRequest(err.Error())
	}
	identity, err := o.Session.Identify(r.Context(), session.ConnectRequest{
		Client: hooks.Client{Protocol: name}, Token: token, Channels: channels, Header: r.Header,
	})
	if err == nil && o.MayJoin != nil && identity.Claims != nil {
		err = o.MayJoin(identity.Claims.User)
	}
	return identity, err
}
