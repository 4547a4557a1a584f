package transport

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// Why a client was given up, as counted.
const (
	dropSlow      = "slow"
	dropHeartbeat = "heartbeat"
)

// conn is one connection. It has no goroutine of its own while it is idle: a wire calls received
// when there is something to read, a goroutine hands messages to the handler while there are any,
// and a wire is told when there is something to write.
type conn struct {
	server   *Server
	endpoint *Endpoint
	handler  Handler
	id       string
	ip       netip.Addr
	opened   time.Time
	// ctx ends with abort.
	ctx    context.Context
	cancel context.CancelFunc
	// parser is the wire's reader's alone.
	parser parser

	mu sync.Mutex
	// wire is there when the handshake is answered.
	wire  wire
	queue queue
	// scheduled: the wire knows that something waits to be written.
	scheduled bool
	pulse     *pulse
	inbox     inbox
	// closing: a close frame is queued, nothing may follow it. farewell is what it says, and said
	// that it is out.
	closing  bool
	said     bool
	farewell Close
	// answered: the peer's close frame is here. broken: it has broken the protocol, and no close
	// frame of its will be understood.
	answered, broken bool
	// aborted: the connection was given up, maybe before it had a socket.
	aborted bool
	// linger ends the wait for a peer that does not answer the close frame.
	linger *time.Timer
}

func (c *conn) ID() string           { return c.id }
func (c *conn) RemoteIP() netip.Addr { return c.ip }
func (c *conn) OpenedAt() time.Time  { return c.opened }

func (c *conn) Context() context.Context { return c.ctx }

func (c *conn) QueuedBytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue.bytes
}

func (c *conn) Send(f Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.push(f)
}

// push queues a frame; the caller holds the lock.
func (c *conn) push(f Frame) bool {
	if c.closing {
		return false
	}
	if !c.queue.push(f) {
		c.queue.drop()
		c.drop(dropSlow, c.endpoint.Codes.Slow)
		return false
	}
	c.signal()
	return true
}

func (c *conn) Close(cl Close) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close(cl)
}

// close queues the close frame and bounds the time until the end; the caller holds the lock.
func (c *conn) close(cl Close) bool {
	if c.closing {
		return false
	}
	c.closing, c.farewell = true, cl
	c.server.remaining.Add(-1)
	if c.pulse != nil {
		c.pulse.timer.Stop()
	}
	c.queue.force(closeFrame(cl))
	c.linger = time.AfterFunc(c.server.options.CloseTimeout, c.abort)
	c.signal()
	return true
}

// drop gives a client up, says so in the log and counts it; the caller holds the lock.
func (c *conn) drop(reason string, cl Close) {
	if !c.close(cl) {
		return
	}
	c.server.options.Observer.ClientDropped(reason)
	c.server.options.Logger.Info("client dropped", slog.String("reason", reason), slog.Int("code", cl.Code),
		slog.String("connection", c.id), slog.String("protocol", c.endpoint.Protocol), slog.String("ip", c.ip.String()))
}

// abort ends the connection whatever still waits.
func (c *conn) abort() {
	c.mu.Lock()
	c.aborted = true
	w := c.wire
	c.mu.Unlock()
	c.cancel()
	if w != nil {
		w.shut()
		c.end()
	}
}

// signal tells the wire that something waits, unless it knows; the caller holds the lock.
func (c *conn) signal() {
	if c.wire == nil || c.scheduled {
		return
	}
	c.scheduled = true
	c.wire.schedule()
}

// take hands everything that waits to the wire. With nothing left the wire's turn is over; last
// means that nothing will follow.
func (c *conn) take() (batch [][]byte, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if batch = c.queue.take(); len(batch) == 0 {
		c.scheduled = false
	}
	return batch, c.closing
}

// wrote counts a batch that went out whole.
func (c *conn) wrote(messages, bytes int, last bool) {
	c.mu.Lock()
	c.queue.written(bytes)
	c.said = c.said || last
	c.settle()
	c.mu.Unlock()
	c.server.options.Observer.MessagesSent(c.endpoint.Protocol, messages, bytes)
}

// settle goes on from a close frame that is out; the caller holds the lock. Who sent one too is done.
// Who broke the protocol sees the end of the stream and may still be sending: closing a socket with
// unread bytes would reset it, and the reset would overtake the close frame.
func (c *conn) settle() {
	switch {
	case !c.said:
	case c.answered:
		c.arrive(arrival{end: true})
	case c.broken:
		c.wire.closeWrite()
	}
}
