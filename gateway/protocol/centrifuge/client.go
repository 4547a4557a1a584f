package centrifuge

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"

	cf "github.com/centrifugal/protocol"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// client is one connection's handler.
type client struct {
	centrifuge *Centrifuge
	session    session.Session
	conn       transport.Conn
	connected  bool
	// replies gathers the answers to the commands of one frame; nil between frames.
	replies *cf.JSONDataEncoder
}

// OnOpen implements transport.Handler.
func (c *client) OnOpen(conn transport.Conn) {
	c.conn = conn
	conn.CloseAfter(c.centrifuge.options.ConnectTimeout, disconnectStale())
}

// OnClose implements transport.Handler.
func (c *client) OnClose(transport.Close) { c.session.Close() }

// OnMessage implements transport.Handler: a frame is one or more commands, a line each.
func (c *client) OnMessage(ctx context.Context, _ transport.Kind, data []byte) {
	first := true
	err := commands(data, func(cmd *cf.Command) error {
		// The first was counted with the frame. SDKs that come back subscribe to all channels in one
		// frame, and these have a limit of their own.
		if !first && cmd.Subscribe == nil && !c.conn.Spend() {
			return errTooMany
		}
		first = false
		return c.do(ctx, cmd)
	})
	if err != nil {
		c.centrifuge.options.Logger.Debug("client disconnected", slog.String("connection", c.conn.ID()), slog.Any("error", err))
		c.flush()
		switch {
		case errors.Is(err, errGone):
		case errors.Is(err, errTooMany):
			c.conn.Exceed()
		case errors.Is(err, errEncode):
			c.conn.Close(disconnectServerError())
		default:
			c.conn.Close(disconnectBadRequest())
		}
		return
	}
	c.flush()
}

// commands decodes a frame and hands its commands on one by one.
func commands(frame []byte, do func(*cf.Command) error) error {
	decoder := cf.NewJSONCommandDecoder(frame)
	for {
		cmd, err := decoder.Decode()
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return errors.Join(errMalformed, err)
		}
		if err := do(cmd); err != nil || last {
			return err
		}
	}
}

// What a client is disconnected for.
var (
	errMalformed = errors.New("malformed command")
	errOrder     = errors.New("connect must be the first command, and the only connect")
	errNoID      = errors.New("command without id")
	errNoCommand = errors.New("command without a request")
	errNoChannel = errors.New("command without a channel")
	errStrayPong = errors.New("pong without a ping")
	errEncode    = errors.New("reply not encoded")
	errTooMany   = errors.New("more messages than allowed")
	// errGone is no fault: nobody is there any more for the rest of the frame.
	errGone = errors.New("connection is gone")
)

// do carries out one command. An error disconnects.
func (c *client) do(ctx context.Context, cmd *cf.Command) error {
	reply := &cf.Reply{Id: cmd.Id}
	var err error
	switch {
	case ctx.Err() != nil:
		return errGone
	case cmd.Connect != nil:
		if c.connected || cmd.Id == 0 {
			return errOrder
		}
		return c.connect(reply)
	case !c.connected:
		return errOrder
	case cmd.Send != nil:
		// It has no reply, and there is no one to hand it to.
		c.centrifuge.options.CommandFailed(codeNotAvailable)
		return nil
	case cmd.Id == 0:
		return c.pong(cmd)
	case cmd.Subscribe != nil:
		return c.subscribe(ctx, reply, cmd.Subscribe)
	case cmd.Unsubscribe != nil:
		if cmd.Unsubscribe.Channel == "" {
			return errNoChannel
		}
		c.session.Unsubscribe(cmd.Unsubscribe.Channel)
		reply.Unsubscribe = &cf.UnsubscribeResult{}
	case cmd.Publish != nil:
		if cmd.Publish.Channel == "" {
			return errNoChannel
		}
		reply.Publish = &cf.PublishResult{}
		err = c.publish(ctx, cmd.Publish)
	case cmd.Ping != nil:
		reply.Ping = &cf.PingResult{}
	case cmd.Presence != nil, cmd.PresenceStats != nil, cmd.History != nil, cmd.Rpc != nil, cmd.Refresh != nil, cmd.SubRefresh != nil:
		err = errNotAvailable
	default:
		return errNoCommand
	}
	if err != nil {
		return c.fail(reply.Id, err)
	}
	return c.reply(reply)
}

// pong is the answer to a ping: a command without anything.
func (c *client) pong(cmd *cf.Command) error {
	empty := cmd.Subscribe == nil && cmd.Unsubscribe == nil && cmd.Publish == nil && cmd.Presence == nil && cmd.PresenceStats == nil &&
		cmd.History == nil && cmd.Ping == nil && cmd.Rpc == nil && cmd.Refresh == nil && cmd.SubRefresh == nil
	if !empty {
		return errNoID
	}
	if !c.conn.Pong() {
		return errStrayPong
	}
	return nil
}

func (c *client) connect(reply *cf.Reply) error {
	c.connected = true
	c.conn.CloseAfter(0, transport.Close{})
	o := c.centrifuge.options
	reply.Connect = &cf.ConnectResult{
		Client: c.conn.ID(), Version: o.Version, Node: o.Node,
		Ping: uint32(math.Ceil(o.PingInterval.Seconds())), Pong: true,
	}
	if err := c.reply(reply); err != nil {
		return err
	}
	c.flush()
	c.conn.StartHeartbeat(c.centrifuge.heartbeat)
	return nil
}

// subscribe answers before the first publication can follow, and after the broker confirmed.
func (c *client) subscribe(ctx context.Context, reply *cf.Reply, r *cf.SubscribeRequest) error {
	if r.Channel == "" {
		return errNoChannel
	}
	if r.Type != 0 {
		return c.fail(reply.Id, errNotAvailable)
	}
	if err := c.session.Reserve(ctx, r.Channel); err != nil {
		return c.fail(reply.Id, err)
	}
	reply.Subscribe = &cf.SubscribeResult{}
	var err error
	c.session.Attach(r.Channel, c, func() {
		err = c.reply(reply)
		c.queue()
	})
	c.conn.Flush()
	return err
}

// publish goes on when its sender is gone: the message came.
func (c *client) publish(ctx context.Context, r *cf.PublishRequest) error {
	switch {
	case r.Type != 0:
		return errNotAvailable
	case len(r.Data) == 0:
		return errNoData
	}
	return c.session.Publish(context.WithoutCancel(ctx), r.Channel, broker.Publication{Data: r.Data})
}

func (c *client) fail(id uint32, err error) error {
	e := replyError(err)
	c.centrifuge.options.CommandFailed(e.Code)
	return c.reply(&cf.Reply{Id: id, Error: e})
}

// reply adds an answer to those of this frame.
func (c *client) reply(r *cf.Reply) error {
	if c.replies == nil {
		c.replies = cf.NewJSONDataEncoder()
	}
	b, err := cf.NewJSONReplyEncoder().Encode(r)
	if err == nil {
		err = c.replies.Encode(b)
	}
	if err != nil {
		return errors.Join(errEncode, err)
	}
	return nil
}

// flush sends the answers that were gathered as one frame.
func (c *client) flush() {
	c.queue()
	c.conn.Flush()
}

// queue makes the answers that were gathered one frame, which goes out with the next flush.
func (c *client) queue() {
	if c.replies == nil {
		return
	}
	c.conn.Queue(transport.NewFrame(transport.Text, c.replies.FinishNoCopy()))
	c.replies = nil
}

// Encoder implements hub.Subscriber.
func (c *client) Encoder() hub.Encoder { return c.centrifuge.encoder }

// Send implements hub.Subscriber.
func (c *client) Send(f transport.Frame) bool { return c.conn.Send(f) }

// Channels are for reports.
func (c *client) Channels() []string { return c.session.Channels() }
