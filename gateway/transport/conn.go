package transport

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"
)

// defaultWriteStallTimeout is the default of Options.WriteStallTimeout.
const defaultWriteStallTimeout = 30 * time.Second

// Reasons why the gateway drops a client, as the metric's label.
const (
	dropSlow      = "slow"
	dropHeartbeat = "heartbeat"
	dropRate      = "rate"
	dropMemory    = "memory"
)

// conn is one connection. A gateway holds many, and most are idle, so whatever only a busy connection
// needs is behind a pointer that is nil otherwise. A connection has no goroutine of its own: the driver
// reads and writes, a worker runs the handler while events are queued, and the timing wheel runs the
// timer.
type conn struct {
	server   *Server
	endpoint *Endpoint
	handler  Handler
	id       uuid.UUID
	ip       netip.Addr
	// openedAt is in nanoseconds since 1970.
	openedAt int64

	// mu guards the fields below.
	mu sync.Mutex
	// parser is not nil while a frame or a message is incomplete. Only received changes it, and reads it without mu.
	parser *parser
	// driver is nil until the handshake is answered.
	driver driver
	// outbound is nil while no frame waits to be written.
	outbound *outboundQueue
	// inbound is nil while the handler has handled everything that was received, and no function of Go runs.
	inbound   *inboundQueue
	timer     timer
	heartbeat heartbeatState
	// messageLimiter limits the client's messages.
	messageLimiter messageRateLimiter
	// closing is nil until the connection begins to close.
	closing *closeState
	// deadline is nil while no close is due at a time.
	deadline *closeDeadline

	// deflate reports that compression was negotiated. The handshake sets it.
	deflate bool
	// writeScheduled is true during a write turn of the driver.
	writeScheduled bool
	// writeBlocked is true while the socket's send buffer is full.
	writeBlocked bool
	// aborted is true once the connection was given up, possibly before it had a driver.
	aborted bool
	// inputEnded is true once the last event was queued.
	inputEnded bool
}

// ID implements Conn.
func (c *conn) ID() string { return c.id.String() }

// UUID implements Conn.
func (c *conn) UUID() uuid.UUID { return c.id }

// RemoteIP implements Conn.
func (c *conn) RemoteIP() netip.Addr { return c.ip }

// OpenedAt implements Conn.
func (c *conn) OpenedAt() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Unix(0, c.openedAt)
}

// QueuedBytes implements Conn.
func (c *conn) QueuedBytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outbound == nil {
		return 0
	}
	return c.outbound.bytes
}

// Send implements Conn.
func (c *conn) Send(f Frame) bool {
	f = c.negotiated(f)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.send(f)
}

// QueueReply implements Conn.
func (c *conn) QueueReply(f Frame) bool {
	f = c.negotiated(f)
	f.reply = true
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queueFrame(f)
}

// SendReply implements Conn.
func (c *conn) SendReply(f Frame) bool {
	f = c.negotiated(f)
	f.reply = true
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.send(f)
}

// Flush implements Conn.
func (c *conn) Flush() {
	c.mu.Lock()
	if c.driver == nil || c.writeScheduled || c.outbound == nil || len(c.outbound.waiting) == 0 {
		c.mu.Unlock()
		return
	}
	c.writeScheduled = true
	c.mu.Unlock()
	c.driver.flush()
}

// WaitWritable implements Conn.
func (c *conn) WaitWritable(ctx context.Context) bool {
	writable, open := c.writableSignal()
	if writable == nil {
		return open
	}
	c.Flush()
	timeout := time.NewTimer(c.server.options.WriteStallTimeout)
	defer timeout.Stop()
	select {
	case <-writable:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.closing == nil
	case <-timeout.C:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drop(dropSlow, c.endpoint.Codes.Slow)
	case <-ctx.Done():
	}
	return false
}

// writableSignal returns a channel that is closed when the queue is writable again. The channel is nil
// when there is nothing to wait for; open then reports whether the connection takes more frames.
func (c *conn) writableSignal() (writable <-chan struct{}, open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closing != nil:
		return nil, false
	case c.outbound == nil || c.outbound.isWritable(c.server.options.MaxQueuedBytes):
		return nil, true
	case c.outbound.writable == nil:
		c.outbound.writable = make(chan struct{})
	}
	return c.outbound.writable, true
}

// Close implements Conn.
func (c *conn) Close(cl Close) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.startClose(cl)
}

// CloseAfter implements Conn.
func (c *conn) CloseAfter(d time.Duration, cl Close) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = nil
	if d > 0 {
		c.deadline = &closeDeadline{c.server.wheel.now() + d, cl}
	}
	c.setTimer()
}

// setTimer sets the timer to what is due next. The caller holds the lock.
func (c *conn) setTimer() {
	at := c.heartbeat.next
	if c.deadline != nil && (at == 0 || c.deadline.at < at) {
		at = c.deadline.at
	}
	if at == 0 || c.inputEnded {
		c.server.wheel.clear(&c.timer)
		return
	}
	c.server.wheel.set(&c.timer, at)
}

// onTimer implements timerOwner.
func (c *conn) onTimer(now time.Duration) {
	c.mu.Lock()
	expired := c.deadline != nil && now >= c.deadline.at
	switch {
	case c.inputEnded:
	case expired && c.closing != nil:
		// The client does not answer the close frame.
		c.mu.Unlock()
		c.abort()
		return
	case expired:
		c.startClose(c.deadline.close)
	default:
		c.runHeartbeat(now)
		c.setTimer()
	}
	c.mu.Unlock()
}
