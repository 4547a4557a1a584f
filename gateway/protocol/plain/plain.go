// Package plain is the gateway's protocol for clients without a library: a browser's WebSocket, wscat, k6. The gateway
// package puts it at /ws.
//
// A client names its channels in the URL: /ws?channel=a&channel=b&publish=a. A frame from the client is published, a
// publication becomes one frame of the same type, also for its own sender. With one channel, frames are published
// there; with several, the parameter publish names the one; without it the connection only listens. The personal
// channel counts only where the client names it, or has no other. Messages have no IDs and cannot be recovered:
// delivery is at most once. The handshake is answered after the subscriptions are made, so that whatever is published
// after the connection opened arrives. A token comes in the Authorization header or, from browsers, as the parameter
// token; the channels that it names are subscribed to, too. docs/protocols.md has the close codes.
package plain

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/internal/ratelog"
)

// Name is the protocol's in metrics, logs, hooks and the server API.
const Name = "plain"

// Plain is the protocol of one gateway.
type Plain struct {
	options   protocol.Options
	encoder   *encoder
	heartbeat *transport.Heartbeat
	// lostMessages limits warnings while the broker cannot be reached.
	lostMessages *ratelog.Limiter
}

// New returns the protocol.
func New(o protocol.Options) *Plain {
	return &Plain{
		options:      o,
		encoder:      &encoder{},
		lostMessages: ratelog.New(o.Logger),
		heartbeat:    &transport.Heartbeat{Ping: transport.Ping(), Interval: o.PingInterval, Timeout: o.PongTimeout},
	}
}

// Patterns implements protocol.Protocol.
func (p *Plain) Patterns() []string { return []string{contract.PathPlain} }

// Endpoint implements protocol.Protocol.
func (p *Plain) Endpoint() transport.Endpoint {
	codes := protocol.StandardCodes()
	if code := p.options.DrainCode; code != 0 {
		codes.Drain.Code = code
	}
	return transport.Endpoint{Protocol: Name, Codes: codes, Accept: p.accept}
}

// accept identifies a client by its handshake and reserves its channels. It returns a *transport.Refusal.
func (p *Plain) accept(r *http.Request) (transport.Handler, error) {
	identity, err := p.options.IdentifyHandshake(r, Name, r.URL.Query()["channel"])
	if err != nil {
		return nil, protocol.RefusalFor(err)
	}
	var tokenChannels []string
	if identity.Claims != nil {
		tokenChannels = identity.Claims.Channels
	}
	t, err := parseTarget(r, tokenChannels, identity.Personal)
	if err != nil {
		return nil, err
	}
	c := &client{plain: p, Base: protocol.NewBase(&p.options), identity: identity}
	accepted := false
	defer func() {
		// Deferred, so that a panic does not leave channels reserved.
		if !accepted {
			c.Session.Close()
		}
	}()
	c.Session.Bind(uuid.Nil, identity)
	if err := c.reserve(r.Context(), t.channels, tokenChannels); err != nil {
		return nil, protocol.RefusalFor(err)
	}
	// A copy, because the request's strings share the memory of the whole request.
	c.publish = strings.Clone(t.publish)
	accepted = true
	return c, nil
}

// reserve reserves the channels of a handshake. Those of the token are the server's choice, and the others the
// client's.
func (c *client) reserve(ctx context.Context, channels, tokenChannels []string) error {
	requests := make([]session.SubscribeRequest, 0, len(channels))
	for _, channel := range channels {
		named := slices.Contains(tokenChannels, channel)
		requests = append(requests, session.SubscribeRequest{
			Channel: channel, Protocol: Name, ServerSide: named, FromIdentity: named,
		})
	}
	return c.ReserveAll(ctx, requests)
}

// target is what a client subscribes to and where it publishes.
type target struct {
	channels []string
	publish  string
}

// parseTarget parses the query of a handshake's URL. tokenChannels are the channels that the client's token brings, and
// personal is the one of them that the gateway adds for the client's user, or empty. It returns a *transport.Refusal
// for a query that names no channel, or a channel to publish to that it does not name.
func parseTarget(r *http.Request, tokenChannels []string, personal string) (t target, err error) {
	query := r.URL.Query()
	for _, channel := range slices.Concat(query["channel"], tokenChannels) {
		if !slices.Contains(t.channels, channel) {
			t.channels = append(t.channels, channel)
		}
	}
	if len(t.channels) == 0 {
		return target{}, protocol.BadRequest("name a channel: " + contract.PathPlain + "?channel=NAME")
	}
	// A client that names one channel publishes there, whether or not it has a personal channel.
	others := t.channels
	if len(others) > 1 && !slices.Contains(query["channel"], personal) {
		others = slices.DeleteFunc(slices.Clone(others), func(channel string) bool { return channel == personal })
	}
	switch to := query["publish"]; {
	case len(to) > 1:
		return target{}, protocol.BadRequest("publish names one channel")
	case len(to) == 1 && !slices.Contains(t.channels, to[0]):
		const message = "publish must name one of the channel parameters: only subscribers may publish"
		return target{}, protocol.BadRequest(message)
	case len(to) == 1:
		t.publish = to[0]
	case len(others) == 1:
		t.publish = others[0]
	}
	return t, nil
}
