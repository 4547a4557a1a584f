// Package plain is the protocol for clients without a library: a browser's WebSocket, wscat, k6.
//
// A client names its channels in the URL: /ws?channel=a&channel=b&publish=a. A frame in is
// published, a publication comes out as one frame of the same type, to its own sender too.
// With one channel, that is where frames go; with several, publish names the one; without it the
// connection only listens. Messages have no ids and there is no way to resume: delivery is
// at most once. The handshake is answered when the subscriptions are in place, so whatever is
// published after the connection opened arrives. A token comes in the Authorization header or, from
// browsers, as the parameter token; the channels that it names are subscribed to, too.
package plain

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/internal/ratelog"
	"github.com/wsfleet/wsfleet/internal/recovery"
)

// Name of the protocol in metrics and logs.
const Name = "plain"

// retryBroker is when a client that came while the broker was away should come again.
const retryBroker = 2 * time.Second

// Plain makes the handlers of plain clients.
type Plain struct {
	options   protocol.Options
	encoder   *encoder
	heartbeat *transport.Heartbeat
	// warnings limits warnings of messages that the broker did not take.
	warnings *ratelog.Limiter
}

// New returns the protocol.
func New(o protocol.Options) *Plain {
	return &Plain{
		options: o, encoder: &encoder{}, warnings: ratelog.New(o.Logger),
		heartbeat: &transport.Heartbeat{Ping: transport.Ping(), Interval: o.PingInterval, Timeout: o.PongTimeout},
	}
}

// Path implements protocol.Protocol.
func (p *Plain) Path() string { return contract.PathPlain }

// Endpoint implements protocol.Protocol.
func (p *Plain) Endpoint() transport.Endpoint {
	return transport.Endpoint{
		Protocol: Name,
		Codes: transport.Codes{
			Slow:   transport.Close{Code: transport.CodePolicy, Reason: "slow: messages came faster than they were read"},
			Rate:   transport.Close{Code: transport.CodePolicy, Reason: "message rate: more messages per second than this gateway's message-rate"},
			NoPong: transport.Close{Code: transport.CodePolicy, Reason: "no pong"},
			Drain:  transport.Close{Code: transport.CodeRestart, Reason: "service restart"},
		},
		Accept: p.accept,
	}
}

// accept finds out who a client is, reads the channels of its handshake and subscribes to them.
func (p *Plain) accept(r *http.Request) (transport.Handler, error) {
	who, err := p.identify(r)
	if err != nil {
		return nil, refusal(err)
	}
	var given []string
	if who.Claims != nil {
		given = who.Claims.Channels
	}
	t, err := targetOf(r, given)
	if err != nil {
		return nil, err
	}
	c := &client{plain: p, session: session.New(&p.options.Session), who: who}
	accepted := false
	defer func() {
		// Deferred: a bug must not keep channels for nobody.
		if !accepted {
			c.session.Close()
		}
	}()
	c.session.Bind(uuid.Nil, who)
	if err := c.reserve(r.Context(), t.channels, given); err != nil {
		return nil, refusal(err)
	}
	// A copy: the request's strings share the memory of the whole request.
	c.publish = strings.Clone(t.publish)
	accepted = true
	return c, nil
}

// identify finds out who a client is by its handshake. It has no name yet that the backend could be told.
func (p *Plain) identify(r *http.Request) (session.Identity, error) {
	token, _, err := auth.BearerToken(r)
	if err != nil {
		return session.Identity{}, bad(err.Error())
	}
	return p.options.Session.Identify(r.Context(), session.ConnectRequest{
		Client: hooks.Client{Protocol: Name}, Token: token, Channels: r.URL.Query()["channel"], Header: r.Header,
	})
}

// target is what a client listens to and where it publishes.
type target struct {
	channels []string
	publish  string
}

// targetOf reads a handshake's URL. given are the channels that the client's token brings.
func targetOf(r *http.Request, given []string) (t target, err error) {
	query := r.URL.Query()
	for _, channel := range slices.Concat(query["channel"], given) {
		if !slices.Contains(t.channels, channel) {
			t.channels = append(t.channels, channel)
		}
	}
	if len(t.channels) == 0 {
		return target{}, bad("name a channel: " + contract.PathPlain + "?channel=NAME")
	}
	switch to := query["publish"]; {
	case len(to) > 1:
		return target{}, bad("publish names one channel")
	case len(to) == 1 && !slices.Contains(t.channels, to[0]):
		return target{}, bad("publish must name one of the channel parameters: only subscribers may publish")
	case len(to) == 1:
		t.publish = to[0]
	case len(t.channels) == 1:
		t.publish = t.channels[0]
	}
	return t, nil
}

func bad(message string) *transport.Refusal {
	return &transport.Refusal{Status: http.StatusBadRequest, Reason: "bad_request", Message: message}
}

// refusal says in HTTP why a client is not let in.
func refusal(err error) *transport.Refusal {
	if r, ok := errors.AsType[*transport.Refusal](err); ok {
		return r
	}
	if backend, ok := errors.AsType[*hooks.Error](err); ok {
		return &transport.Refusal{Status: http.StatusForbidden, Reason: "hook", Message: backend.Message}
	}
	if backend, ok := errors.AsType[*hooks.Disconnect](err); ok {
		return &transport.Refusal{Status: http.StatusForbidden, Reason: "hook", Message: backend.Reason}
	}
	switch {
	case errors.Is(err, session.ErrChannelName):
		return bad(err.Error())
	case errors.Is(err, session.ErrTooManyChannels):
		return &transport.Refusal{Status: http.StatusBadRequest, Reason: "channel_limit", Message: err.Error()}
	case errors.Is(err, session.ErrInvalidToken):
		return &transport.Refusal{Status: http.StatusUnauthorized, Reason: "token", Message: "the token is not valid; connect with another"}
	case errors.Is(err, session.ErrExpiredToken):
		return &transport.Refusal{Status: http.StatusUnauthorized, Reason: "token", Message: "the token is expired; connect with another"}
	case errors.Is(err, session.ErrUnauthorized):
		return &transport.Refusal{Status: http.StatusUnauthorized, Reason: "token", Message: "send a token: in the Authorization header, or as the parameter token"}
	case errors.Is(err, session.ErrNotAllowed):
		return &transport.Refusal{Status: http.StatusForbidden, Reason: "permission", Message: "subscribing to one of the channels is not allowed with this token, or without one"}
	case errors.Is(err, recovery.ErrPanic):
		return &transport.Refusal{Status: http.StatusInternalServerError, Reason: "internal", Message: "internal error"}
	case errors.Is(err, hooks.ErrDown), errors.Is(err, auth.ErrUnavailable), errors.Is(err, session.ErrInfoTooLarge):
		return &transport.Refusal{Status: http.StatusServiceUnavailable, Reason: "hook", Message: "the gateway cannot find out who you are; try again", RetryAfter: retryBroker}
	default:
		return &transport.Refusal{Status: http.StatusServiceUnavailable, Reason: "broker", Message: "the gateway cannot reach its broker; try again", RetryAfter: retryBroker}
	}
}
