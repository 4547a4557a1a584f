package centrifuge

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	cf "github.com/centrifugal/protocol"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// client is one connection's handler. There are many: a flag in a place of its own takes eight bytes.
type client struct {
	centrifuge *Centrifuge
	encoding   *encoding
	session    session.Session
	conn       transport.Conn
	connected  bool
	// failures counts commands that were answered with an error.
	failures uint32
	// hello is there until the client is connected, when the handshake said something of use.
	hello *hello
	// replies gathers the answers to the commands of one frame; nil between frames. gathered are their
	// bytes.
	replies  cf.DataEncoder
	gathered int
	// early is there while the answer to connect is made.
	early atomic.Pointer[early]
}

// OnOpen implements transport.Handler.
func (c *client) OnOpen(conn transport.Conn) {
	c.conn = conn
	conn.CloseAfter(c.centrifuge.options.ConnectTimeout, disconnectStale())
}

// OnClose implements transport.Handler.
func (c *client) OnClose(why transport.Close) {
	c.session.Close()
	if c.connected {
		c.centrifuge.options.Left(c, why)
	}
}

// OnMessage implements transport.Handler: a frame is one or more commands.
func (c *client) OnMessage(ctx context.Context, _ transport.Kind, data []byte) {
	first := true
	err := c.encoding.commands(data, func(cmd *cf.Command) error {
		// The first was counted with the frame. SDKs that come back subscribe to all channels in one
		// frame, and these have a limit of their own.
		free := !first && cmd.Subscribe != nil
		if !first && !free && !c.conn.AllowMessage() {
			return errTooMany
		}
		first = false
		failures := c.failures
		err := c.do(ctx, cmd)
		if free && err == nil && c.failures > failures && !c.conn.AllowMessage() {
			// A subscription that failed takes no place, which would bound them.
			return errTooMany
		}
		return err
	})
	if err != nil {
		c.centrifuge.options.Logger.Debug("client disconnected", slog.String("connection", c.conn.ID()), slog.Any("error", err))
		c.flush()
		c.hangUp(err)
		return
	}
	c.flush()
}

// farewell is an error with the close that it means.
type farewell struct {
	transport.Close
	why error
}

func (f *farewell) Error() string { return f.why.Error() }
func (f *farewell) Unwrap() error { return f.why }

func (c *client) hangUp(err error) {
	own, isOwn := errors.AsType[*farewell](err)
	backend, isBackend := errors.AsType[*hooks.Disconnect](err)
	switch {
	case errors.Is(err, errGone):
	case isOwn:
		c.conn.Close(own.Close)
	case isBackend:
		c.conn.Close(transport.Close{Code: int(backend.Code), Reason: backend.Reason})
	case errors.Is(err, errTooMany):
		c.conn.CloseRateLimited()
	case errors.Is(err, errEncode):
		c.conn.Close(disconnectServerError())
	default:
		c.conn.Close(disconnectBadRequest())
	}
}

// do carries out one command. An error disconnects.
func (c *client) do(ctx context.Context, cmd *cf.Command) error {
	switch {
	case ctx.Err() != nil:
		return errGone
	case cmd.Connect != nil:
		if c.connected || cmd.Id == 0 {
			return errOrder
		}
		return c.connect(ctx, cmd.Id, cmd.Connect)
	case !c.connected:
		return errOrder
	case cmd.Send != nil:
		return c.send(ctx, cmd.Send)
	case cmd.Id == 0:
		return c.pong(cmd)
	case cmd.Subscribe != nil:
		return c.subscribe(ctx, cmd.Id, cmd.Subscribe)
	}
	if cmd.History != nil || cmd.Presence != nil {
		if err := c.room(ctx); err != nil {
			return err
		}
	}
	reply := &cf.Reply{Id: cmd.Id}
	if err := c.call(ctx, cmd, reply); err != nil {
		if disconnects(err) {
			return err
		}
		return c.fail(cmd.Id, err)
	}
	return c.reply(reply)
}

// call carries out a command whose reply is made when it is done.
func (c *client) call(ctx context.Context, cmd *cf.Command, reply *cf.Reply) (err error) {
	switch {
	case cmd.Unsubscribe != nil:
		reply.Unsubscribe, err = c.unsubscribe(cmd.Unsubscribe)
	case cmd.Publish != nil:
		reply.Publish, err = c.publish(ctx, cmd.Publish)
	case cmd.Presence != nil:
		reply.Presence, err = c.presence(ctx, cmd.Presence)
	case cmd.PresenceStats != nil:
		reply.PresenceStats, err = c.presenceStats(ctx, cmd.PresenceStats)
	case cmd.History != nil:
		reply.History, err = c.history(ctx, cmd.History)
	case cmd.Ping != nil:
		reply.Ping = &cf.PingResult{}
	case cmd.Rpc != nil:
		reply.Rpc, err = c.rpc(ctx, cmd.Rpc)
	case cmd.Refresh != nil:
		reply.Refresh, err = c.refresh(ctx, cmd.Refresh)
	case cmd.SubRefresh != nil:
		reply.SubRefresh, err = c.subRefresh(ctx, cmd.SubRefresh)
	default:
		return errNoCommand
	}
	return err
}

// disconnects tells an error that ends the connection from one that is answered.
func disconnects(err error) bool {
	if _, ok := errors.AsType[*farewell](err); ok {
		return true
	}
	if _, ok := errors.AsType[*hooks.Disconnect](err); ok {
		return true
	}
	for _, fatal := range []error{errNoCommand, errNoChannel, errNoToken, errEncode, errGone} {
		if errors.Is(err, fatal) {
			return true
		}
	}
	return false
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

func (c *client) fail(id uint32, err error) error {
	e := replyError(err)
	c.failures++
	c.centrifuge.options.CommandFailed(e.Code)
	if e.Code == codeInternal {
		c.centrifuge.options.Logger.Debug("command failed", slog.String("connection", c.conn.ID()), slog.Any("error", err))
	}
	return c.reply(&cf.Reply{Id: id, Error: e})
}

// room waits for the client to have read most of what it was told, before it is told more that may be large.
func (c *client) room(ctx context.Context) error {
	if !c.conn.WaitWritable(ctx) {
		return errGone
	}
	return nil
}

// reply adds an answer to those of this frame.
func (c *client) reply(r *cf.Reply) error {
	b, err := c.encoding.reply(r)
	if err != nil {
		return err
	}
	if c.replies == nil {
		c.replies = c.encoding.batch()
	}
	if err := c.replies.Encode(b); err != nil {
		return errors.Join(errEncode, err)
	}
	if c.gathered += len(b); c.gathered > mostGathered {
		c.queue()
	}
	return nil
}

// mostGathered is how many bytes of answers share a frame.
const mostGathered = 64 << 10

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
	c.conn.QueueReply(transport.NewFrame(c.encoding.kind, c.replies.FinishNoCopy()))
	c.replies, c.gathered = nil, 0
}

// Encoder implements hub.Subscriber.
func (c *client) Encoder() hub.Encoder { return c.encoding }

// Send implements hub.Subscriber.
func (c *client) Send(f transport.Frame) bool {
	if e := c.early.Load(); e != nil {
		switch e.keep(f) {
		case kept:
			return true
		case full:
			c.conn.Close(disconnectSlow())
			return false
		case passed:
		}
	}
	return c.conn.Send(f)
}

// PresenceInfo implements presence.Member.
func (c *client) PresenceInfo(channel string) (broker.ClientInfo, bool) {
	return c.session.ClientInfo(channel)
}

// Channels are for reports.
func (c *client) Channels() []string { return c.session.Channels() }

// User is for reports.
func (c *client) User() string { return c.session.User() }

// Protocol implements protocol.Client.
func (c *client) Protocol() string { return string(c.encoding.protocol) }
