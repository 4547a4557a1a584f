// Package echo is the smallest client protocol: an example of all that one needs, and a test of the place that the
// gateway has for it. A client connects to /echo/{room} and is subscribed to that channel. Every frame that it sends is
// published there, and comes back to it and to the room's other clients as "SENDER: TEXT". test/gateway runs it.
package echo

import (
	"context"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// Name is the protocol's in metrics, logs, hooks and the server API.
const Name = "echo"

// Echo is the protocol of one gateway. It is its own hub.Encoder, so that all clients share the frames.
type Echo struct {
	options   protocol.Options
	heartbeat transport.Heartbeat
}

// New returns the protocol.
func New(o protocol.Options) protocol.Protocol {
	heartbeat := transport.Heartbeat{Ping: transport.Ping(), Interval: o.PingInterval, Timeout: o.PongTimeout}
	return &Echo{options: o, heartbeat: heartbeat}
}

// Patterns implements protocol.Protocol.
func (e *Echo) Patterns() []string { return []string{"/echo/{room}"} }

// Endpoint implements protocol.Protocol.
func (e *Echo) Endpoint() transport.Endpoint {
	return transport.Endpoint{Protocol: Name, Codes: protocol.StandardCodes(), Accept: e.accept}
}

// accept identifies the client and reserves its channel. It returns a *transport.Refusal.
func (e *Echo) accept(r *http.Request) (transport.Handler, error) {
	// A copy, because the request's strings share the memory of the whole request.
	room := strings.Clone(r.PathValue("room"))
	identity, err := e.options.IdentifyHandshake(r, Name, []string{room})
	if err != nil {
		return nil, protocol.RefusalFor(err)
	}
	c := &client{Base: protocol.NewBase(&e.options), echo: e, room: room, identity: identity}
	c.Session.Bind(uuid.Nil, identity)
	request := session.SubscribeRequest{Channel: room, Protocol: Name}
	if err := c.ReserveAll(r.Context(), []session.SubscribeRequest{request}); err != nil {
		c.Session.Close()
		return nil, protocol.RefusalFor(err)
	}
	return c, nil
}

// Encode implements hub.Encoder. It never returns an error.
func (e *Echo) Encode(_ string, p broker.Publication) (transport.Frame, error) {
	if p.Kind != broker.KindPublication {
		return transport.Frame{}, nil
	}
	sender := "server"
	if p.Info != nil {
		sender = p.Info.User
	}
	return transport.NewFrame(transport.Text, []byte(sender+": "+string(p.Data))), nil
}

// client is the handler of one connection.
type client struct {
	protocol.Base
	echo     *Echo
	room     string
	identity session.Identity
}

// OnOpen implements transport.Handler.
func (c *client) OnOpen(conn transport.Conn) {
	c.Open(conn)
	c.Session.Bind(conn.UUID(), c.identity)
	err := c.Join(context.Background(), c, c.identity)
	if err == nil {
		err = c.AttachAll(context.Background(), c)
	}
	if err != nil {
		conn.Close(protocol.CloseFor(err))
		return
	}
	conn.StartHeartbeat(&c.echo.heartbeat)
}

// OnMessage implements transport.Handler.
func (c *client) OnMessage(ctx context.Context, _ transport.Kind, data []byte) {
	if _, err := c.Session.Publish(ctx, session.Message{Channel: c.room, Data: data, Protocol: Name}); err != nil {
		c.Conn().Close(protocol.CloseFor(err))
	}
}

// OnClose implements transport.Handler.
func (c *client) OnClose(why transport.Close) { c.Leave(c, why) }

// Encoder implements hub.Subscriber.
func (c *client) Encoder() hub.Encoder { return c.echo }

// Protocol implements protocol.Client.
func (c *client) Protocol() string { return Name }

// Subscribe implements protocol.Client: clients have one channel. It always returns session.ErrTooManyChannels.
func (c *client) Subscribe(context.Context, protocol.Subscription) error {
	return session.ErrTooManyChannels
}

// Message implements protocol.Client.
func (c *client) Message(data []byte, _ bool) bool {
	return c.Conn().Send(transport.NewFrame(transport.Text, data))
}
