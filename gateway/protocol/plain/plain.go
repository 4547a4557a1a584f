// Package plain is the protocol for clients without a library: a browser's WebSocket, wscat, k6.
//
// A client names its channels in the URL: /ws?channel=a&channel=b&publish=a. A frame in is
// published, a publication comes out as one frame of the same type, to its own sender too.
// With one channel, that is where frames go; with several, publish names the one; without it the
// connection only listens. Messages have no ids and there is no way to resume: delivery is
// at most once. The handshake is answered when the subscriptions are in place, so whatever is
// published after the connection opened arrives.
package plain

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/contract"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
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
	// complaint keeps a lost broker from filling the log with lost messages.
	complaint rate.Sometimes
}

// New returns the protocol.
func New(o protocol.Options) *Plain {
	return &Plain{
		options: o, encoder: &encoder{}, complaint: rate.Sometimes{Interval: 10 * time.Second},
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

// accept reads the channels of a handshake and subscribes to them.
func (p *Plain) accept(r *http.Request) (transport.Handler, error) {
	channels, publish, err := target(r)
	if err != nil {
		return nil, err
	}
	c := &client{plain: p, session: session.New(&p.options.Session)}
	for _, channel := range channels {
		if err := c.session.Reserve(r.Context(), channel); err != nil {
			c.session.Close()
			return nil, refusal(err)
		}
	}
	// A copy: the request's strings share the memory of the whole request.
	c.publish = strings.Clone(publish)
	return c, nil
}

// target reads what to listen to and where to publish.
func target(r *http.Request) (channels []string, publish string, err error) {
	query := r.URL.Query()
	for _, channel := range query["channel"] {
		if !slices.Contains(channels, channel) {
			channels = append(channels, channel)
		}
	}
	if len(channels) == 0 {
		return nil, "", bad("name a channel: " + contract.PathPlain + "?channel=NAME")
	}
	switch to := query["publish"]; {
	case len(to) > 1:
		return nil, "", bad("publish names one channel")
	case len(to) == 1 && !slices.Contains(channels, to[0]):
		return nil, "", bad("publish must name one of the channel parameters: only subscribers may publish")
	case len(to) == 1:
		publish = to[0]
	case len(channels) == 1:
		publish = channels[0]
	}
	return channels, publish, nil
}

func bad(message string) *transport.Refusal {
	return &transport.Refusal{Status: http.StatusBadRequest, Reason: "bad_request", Message: message}
}

// refusal says in HTTP why a subscription failed.
func refusal(err error) *transport.Refusal {
	switch {
	case errors.Is(err, session.ErrChannelName):
		return bad(err.Error())
	case errors.Is(err, session.ErrTooManyChannel):
		return &transport.Refusal{Status: http.StatusBadRequest, Reason: "channel_limit", Message: err.Error()}
	default:
		return &transport.Refusal{Status: http.StatusServiceUnavailable, Reason: "broker", Message: "the gateway cannot reach its broker; try again", RetryAfter: retryBroker}
	}
}

// client is one connection's handler.
type client struct {
	plain   *Plain
	session session.Session
	conn    transport.Conn
	// publish is where frames go; empty: the connection only listens.
	publish string
}

// OnOpen implements transport.Handler.
func (c *client) OnOpen(conn transport.Conn) {
	c.conn = conn
	for _, channel := range c.session.Channels() {
		c.session.Attach(channel, c, nil)
	}
	conn.StartHeartbeat(c.plain.heartbeat)
}

// OnMessage implements transport.Handler. While the broker is away messages are lost, counted and
// logged: the protocol has no way to tell the client, and closing would only make it come back.
func (c *client) OnMessage(ctx context.Context, kind transport.Kind, data []byte) {
	if c.publish == "" {
		c.conn.Close(transport.Close{Code: transport.CodePolicy, Reason: "several channels: say where to publish with ?publish=NAME"})
		return
	}
	err := c.session.Publish(context.WithoutCancel(ctx), c.publish, broker.Publication{Data: data, Binary: kind == transport.Binary})
	if err != nil {
		c.plain.complaint.Do(func() {
			c.plain.options.Logger.Warn("messages of plain clients are lost", slog.Any("error", err))
		})
	}
}

// OnClose implements transport.Handler.
func (c *client) OnClose(transport.Close) { c.session.Close() }

// Encoder implements hub.Subscriber.
func (c *client) Encoder() hub.Encoder { return c.plain.encoder }

// Send implements hub.Subscriber.
func (c *client) Send(f transport.Frame) bool { return c.conn.Send(f) }

// Channels are for reports.
func (c *client) Channels() []string { return c.session.Channels() }
