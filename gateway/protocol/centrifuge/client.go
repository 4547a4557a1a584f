package centrifuge

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	cf "github.com/centrifugal/protocol"

	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// client is the handler of one connection.
type client struct {
	protocol.Base
	centrifuge *Centrifuge
	encoding   *encoding
	// handshake is nil after the client connected, and when the handshake said nothing of use.
	handshake *handshakeInfo
	// batch gathers the replies to the commands of one frame; nil between frames. batchBytes is their size.
	batch      cf.DataEncoder
	batchBytes int
	// failures counts commands that were answered with an error.
	failures int
	// preConnect holds frames back until the connect command is answered; nil before and after.
	preConnect atomic.Pointer[preConnectBuffer]
}

// maxBatchBytes is the size of replies from which they are sent in another frame.
const maxBatchBytes = 64 << 10

// OnOpen implements transport.Handler.
func (c *client) OnOpen(conn transport.Conn) {
	c.Open(conn)
	conn.CloseAfter(c.centrifuge.options.ConnectTimeout, disconnectStale())
}

// OnClose implements transport.Handler.
func (c *client) OnClose(why transport.Close) { c.Leave(c, why) }

// OnMessage implements transport.Handler. A frame holds one or more commands.
func (c *client) OnMessage(ctx context.Context, _ transport.Kind, data []byte) {
	first := true
	err := c.encoding.commands(data, func(cmd *cf.Command) error {
		isFirst := first
		first = false
		return c.doLimited(ctx, cmd, isFirst)
	})
	if err != nil {
		c.centrifuge.options.Logger.Debug("client disconnected",
			slog.String("connection", c.Conn().ID()), slog.Any("error", err))
		c.flush()
		c.closeWithError(err)
		return
	}
	c.flush()
}

// doLimited carries out a command and counts it against the message rate. The first one of a frame was counted with the
// frame. Subscriptions are free, because an SDK that reconnects makes all of them in one frame, and have a limit of
// their own.
func (c *client) doLimited(ctx context.Context, cmd *cf.Command, first bool) error {
	free := !first && cmd.Subscribe != nil
	if !first && !free && !c.Conn().AllowMessage() {
		return errRateLimited
	}
	failures := c.failures
	err := c.do(ctx, cmd)
	if free && err == nil && c.failures > failures && !c.Conn().AllowMessage() {
		// A subscription that failed takes no slot, so that the limit on slots does not bound them.
		return errRateLimited
	}
	return err
}

// closeError is an error that closes the connection in a certain way.
type closeError struct {
	transport.Close
	cause error
}

func (e *closeError) Error() string { return e.cause.Error() }
func (e *closeError) Unwrap() error { return e.cause }

// closeWithError closes the connection with the close code for an error.
func (c *client) closeWithError(err error) {
	own, isOwn := errors.AsType[*closeError](err)
	backend, isBackend := errors.AsType[*hooks.Disconnect](err)
	switch {
	case errors.Is(err, errGone):
	case isOwn:
		c.Conn().Close(own.Close)
	case isBackend:
		c.Disconnect(int(backend.Code), backend.Reason)
	case errors.Is(err, errRateLimited):
		c.Conn().CloseRateLimited()
	case errors.Is(err, errEncode):
		c.Conn().Close(disconnectServerError())
	default:
		c.Conn().Close(disconnectBadRequest())
	}
}

// do carries out one command. Its error closes the connection.
func (c *client) do(ctx context.Context, cmd *cf.Command) error {
	switch {
	case ctx.Err() != nil:
		return errGone
	case cmd.Connect != nil:
		if c.HasJoined() || cmd.Id == 0 {
			return errOrder
		}
		return c.connect(ctx, cmd.Id, cmd.Connect)
	case !c.HasJoined():
		return errOrder
	case cmd.Send != nil:
		return c.send(ctx, cmd.Send)
	case cmd.Id == 0:
		return c.pong(cmd)
	case cmd.Subscribe != nil:
		return c.subscribe(ctx, cmd.Id, cmd.Subscribe)
	}
	if cmd.History != nil || cmd.Presence != nil {
		if err := c.waitWritable(ctx); err != nil {
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

// call carries out a command and sets its result in reply. disconnects tells which of its errors close the connection;
// the others are answered.
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

// disconnects reports whether an error closes the connection; the others are answered.
func disconnects(err error) bool {
	if _, ok := errors.AsType[*closeError](err); ok {
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

// pong handles a command without an ID, which must be empty: it is the answer to a ping.
func (c *client) pong(cmd *cf.Command) error {
	empty := cmd.Subscribe == nil && cmd.Unsubscribe == nil && cmd.Publish == nil && cmd.Presence == nil &&
		cmd.PresenceStats == nil && cmd.History == nil && cmd.Ping == nil && cmd.Rpc == nil &&
		cmd.Refresh == nil && cmd.SubRefresh == nil
	if !empty {
		return errNoID
	}
	if !c.Conn().Pong() {
		return errStrayPong
	}
	return nil
}

// fail answers a command with an error.
func (c *client) fail(id uint32, err error) error {
	e := replyError(err)
	c.failures++
	c.centrifuge.options.CommandFailed(e.Code)
	if e.Code == codeInternal {
		c.centrifuge.options.Logger.Debug("command failed",
			slog.String("connection", c.Conn().ID()), slog.Any("error", err))
	}
	return c.reply(&cf.Reply{Id: id, Error: e})
}

// waitWritable waits until the client has read most of what it was sent, before an answer that may be large. It returns
// errGone when the connection ends.
func (c *client) waitWritable(ctx context.Context) error {
	if !c.Conn().WaitWritable(ctx) {
		return errGone
	}
	return nil
}

// reply adds a reply to the batch.
func (c *client) reply(r *cf.Reply) error {
	b, err := c.encoding.reply(r)
	if err != nil {
		return err
	}
	if c.batch == nil {
		c.batch = c.encoding.newBatch()
	}
	if err := c.batch.Encode(b); err != nil {
		return errors.Join(errEncode, err)
	}
	if c.batchBytes += len(b); c.batchBytes > maxBatchBytes {
		c.queueBatch()
	}
	return nil
}

// flush sends the batch as one frame.
func (c *client) flush() {
	c.queueBatch()
	c.Conn().Flush()
}

// queueBatch queues the batch as one frame, which is sent by the next flush.
func (c *client) queueBatch() {
	if c.batch == nil {
		return
	}
	c.Conn().QueueReply(transport.NewFrame(c.encoding.kind, c.batch.FinishNoCopy()))
	c.batch, c.batchBytes = nil, 0
}

// Encoder implements hub.Subscriber.
func (c *client) Encoder() hub.Encoder { return c.encoding }

// Send implements hub.Subscriber.
func (c *client) Send(f transport.Frame) bool {
	if b := c.preConnect.Load(); b != nil {
		switch b.add(f) {
		case buffered:
			return true
		case overflowed:
			c.Conn().Close(disconnectSlow())
			return false
		case released:
		}
	}
	return c.Conn().Send(f)
}

// Protocol implements protocol.Client.
func (c *client) Protocol() string { return string(c.encoding.protocol) }
