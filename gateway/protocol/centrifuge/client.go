package centrifuge

import (
	"context"
	"errors"
	"log/slog"
	"sync"
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
	// preConnect holds frames back until the connect command is answered; nil before and after.
	preConnect atomic.Pointer[preConnectBuffer]
	// large is held while an answer is made that may be large.
	large sync.Mutex
	// subscribeAllowance is how many subscribe commands do not count against the message rate.
	subscribeAllowance atomic.Int32
	// framePings reports that the client asked for queryFramePings.
	framePings bool
	// refusals counts connect commands that were refused.
	refusals int32
}

// OnOpen implements transport.Handler.
func (c *client) OnOpen(conn transport.Conn) {
	c.Open(conn)
	conn.CloseAfter(c.centrifuge.options.ConnectTimeout, disconnectStale())
}

// OnClose implements transport.Handler.
func (c *client) OnClose(why transport.Close) { c.Leave(c, why) }

// OnMessage implements transport.Handler. A frame holds one or more commands.
func (c *client) OnMessage(ctx context.Context, _ transport.Kind, data []byte) {
	out := &replies{client: c}
	err := c.encoding.checkSizes(data, c.centrifuge.options.MaxCommandBytes)
	if err == nil {
		err = c.encoding.commands(data, func(cmd *cf.Command) error { return c.start(ctx, cmd, out) })
	}
	out.flush()
	c.closeAfter(err)
}

// start counts a command and carries it out, in the background if it may take long. Its error closes the connection.
func (c *client) start(ctx context.Context, cmd *cf.Command, out *replies) error {
	if !c.allow(cmd) {
		return errRateLimited
	}
	key := orderKey(cmd)
	if !c.mayTakeLong(cmd) && !c.Conn().Running(key) {
		return c.do(ctx, cmd, out)
	}
	out.flush()
	if !c.Conn().Go(ctx, key, func(ctx context.Context) { c.doInBackground(ctx, cmd) }) {
		return errGone
	}
	return nil
}

// doInBackground carries out a command beside others of the client.
func (c *client) doInBackground(ctx context.Context, cmd *cf.Command) {
	out := &replies{client: c, atOnce: true}
	err := c.do(ctx, cmd, out)
	out.flush()
	c.closeAfter(err)
}

// allow counts a command against the message rate and reports whether it is allowed. Subscribe commands are free as far
// as the client's allowance goes, because an SDK that reconnects sends one for each of its channels.
func (c *client) allow(cmd *cf.Command) bool {
	if cmd.Subscribe != nil && c.subscribeAllowance.Load() > 0 {
		c.subscribeAllowance.Add(-1)
		return true
	}
	return c.Conn().AllowMessage()
}

// closeAfter closes the connection because of an error of a command; nil does nothing.
func (c *client) closeAfter(err error) {
	if err == nil {
		return
	}
	c.centrifuge.options.Logger.Debug("client disconnected",
		slog.String("connection", c.Conn().ID()), slog.Any("error", err))
	c.closeWithError(err)
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
	case errors.Is(err, errTooBig):
		c.Conn().Close(disconnectTooBig())
	case errors.Is(err, errEncode):
		c.Conn().Close(disconnectServerError())
	default:
		c.Conn().Close(disconnectBadRequest())
	}
}

// do carries out one command. Its error closes the connection.
func (c *client) do(ctx context.Context, cmd *cf.Command, out *replies) error {
	switch {
	case ctx.Err() != nil && !hasEffect(cmd):
		return errGone
	case cmd.Connect != nil:
		if c.HasJoined() || cmd.Id == 0 {
			return errOrder
		}
		return c.connect(ctx, cmd.Id, cmd.Connect, out)
	case !c.HasJoined():
		return errOrder
	case cmd.Send != nil:
		return c.send(ctx, cmd.Send)
	case cmd.Id == 0:
		return c.pong(cmd)
	case cmd.Subscribe != nil:
		return c.subscribe(ctx, cmd.Id, cmd.Subscribe, out)
	}
	if isLarge(cmd) {
		release, err := c.largeTurn(ctx)
		if err != nil {
			return err
		}
		defer release()
	}
	reply := &cf.Reply{Id: cmd.Id}
	if err := c.call(ctx, cmd, reply); err != nil {
		if disconnects(err) {
			return err
		}
		return c.fail(cmd.Id, err, out)
	}
	return out.add(reply)
}

// isLarge reports whether the answer to a command may be large.
func isLarge(cmd *cf.Command) bool {
	return cmd.History != nil && cmd.History.Limit != 0 || cmd.Presence != nil
}

// hasEffect reports whether a command does something for others than the client, so that it is carried out even when
// the client has left meanwhile.
func hasEffect(cmd *cf.Command) bool {
	return cmd.Publish != nil || cmd.Rpc != nil || cmd.Send != nil || cmd.Unsubscribe != nil
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
func (c *client) fail(id uint32, err error, out *replies) error {
	e := replyError(err)
	c.centrifuge.options.CommandFailed(e.Code)
	if e.Code == codeInternal {
		c.centrifuge.options.Logger.Debug("command failed",
			slog.String("connection", c.Conn().ID()), slog.Any("error", err))
	}
	return out.add(&cf.Reply{Id: id, Error: e})
}

// largeTurn waits until the client has no other large answer under way and has read most of what it was sent. The
// caller calls release once its answer is queued. largeTurn returns errGone when the connection ends.
func (c *client) largeTurn(ctx context.Context) (release func(), err error) {
	c.large.Lock()
	if err := c.waitWritable(ctx); err != nil {
		c.large.Unlock()
		return nil, err
	}
	return c.large.Unlock, nil
}

// waitWritable waits until the client has read most of what it was sent, before an answer that may be large. It returns
// errGone when the connection ends.
func (c *client) waitWritable(ctx context.Context) error {
	if !c.Conn().WaitWritable(ctx) {
		return errGone
	}
	return nil
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

// Resumes implements transport.Resumer.
func (c *client) Resumes() bool { return c.Session.Resumes() }

// Protocol implements protocol.Client.
func (c *client) Protocol() string { return string(c.encoding.protocol) }
