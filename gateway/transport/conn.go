package transport

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"
)

// defaultWriteStallTimeout is how long clients have that Room waits for.
const defaultWriteStallTimeout = 30 * time.Second

// Why a client was given up, as counted.
const (
	dropSlow      = "slow"
	dropHeartbeat = "heartbeat"
	dropRate      = "rate"
)

// conn is one connection. There are many, and most are idle: what only a busy one needs is behind a
// pointer that is nil otherwise. It has no goroutine of its own: a wire calls received when there is
// something to read, a goroutine hands messages to the handler while there are any, a wire is told
// when there is something to write, and the wheel wakes it when it is time for something.
type conn struct {
	server   *Server
	endpoint *Endpoint
	handler  Handler
	id       uuid.UUID
	ip       netip.Addr
	opened   int64
	// parser is the wire's reader's alone. It is there while something has begun and not ended.
	parser *parser

	mu sync.Mutex
	// wire is there when the handshake is answered.
	wire wire
	// queue is there while something waits to be written.
	queue *queue
	// inbox is there while the handler has not caught up with what came.
	inbox *inbox
	timer timer
	pulse pulse
	// allowance is what the peer may still send.
	allowance allowance
	// ending is there from the first close on.
	ending *ending
	// expiry is when and how to close in any case.
	expiry *expiry

	// deflate: compression was negotiated. The handshake sets it.
	deflate bool
	// scheduled: the wire knows that something waits to be written. stuck: the socket is full.
	scheduled, stuck bool
	// aborted: the connection was given up, maybe before it had a socket. over: nothing more will come.
	aborted, over bool
}

// ending is how a connection closes.
type ending struct {
	// farewell is what our close frame says, said that it is out.
	farewell Close
	said     bool
	// answered: the peer's close frame is here. broken: it has broken the protocol, and no close frame
	// of its will be understood.
	answered, broken bool
}

// expiry is a close with a time.
type expiry struct {
	// at is on the wheel's clock.
	at    time.Duration
	close Close
}

func (c *conn) ID() string           { return c.id.String() }
func (c *conn) UUID() uuid.UUID      { return c.id }
func (c *conn) RemoteIP() netip.Addr { return c.ip }
func (c *conn) OpenedAt() time.Time  { return time.Unix(0, c.opened) }

func (c *conn) QueuedBytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queue == nil {
		return 0
	}
	return c.queue.bytes
}

func (c *conn) Send(f Frame) bool {
	f = c.form(f)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.push(f)
}

func (c *conn) QueueReply(f Frame) bool {
	f = c.form(f)
	f.answer = true
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.enqueue(f)
}

// WaitWritable implements Conn.
func (c *conn) WaitWritable(ctx context.Context) bool {
	room, open := c.awaitRoom()
	if room == nil {
		return open
	}
	c.Flush()
	patience := time.NewTimer(c.server.options.WriteStallTimeout)
	defer patience.Stop()
	select {
	case <-room:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.ending == nil
	case <-patience.C:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drop(dropSlow, c.endpoint.Codes.Slow)
	case <-ctx.Done():
	}
	return false
}

// awaitRoom returns a channel that is closed when there is room, or nil when nothing is to be waited for.
func (c *conn) awaitRoom() (room <-chan struct{}, open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ending != nil:
		return nil, false
	case c.queue == nil || c.queue.hasRoom(c.server.options.MaxQueuedBytes):
		return nil, true
	case c.queue.room == nil:
		c.queue.room = make(chan struct{})
	}
	return c.queue.room, true
}

func (c *conn) Flush() {
	c.mu.Lock()
	if c.wire == nil || c.scheduled || c.queue == nil || len(c.queue.waiting) == 0 {
		c.mu.Unlock()
		return
	}
	c.scheduled = true
	c.mu.Unlock()
	c.wire.flush()
}

// form is a frame as this connection gets it.
func (c *conn) form(f Frame) Frame {
	if c.deflate {
		return f.deflated()
	}
	return f
}

// push queues a frame and has it written; the caller holds the lock.
func (c *conn) push(f Frame) bool {
	if !c.enqueue(f) {
		return false
	}
	c.signal(f.bulk)
	return true
}

// enqueue queues a frame; the caller holds the lock.
func (c *conn) enqueue(f Frame) bool {
	if c.ending != nil {
		return false
	}
	m, ok := c.needQueue().push(f, bounds{bytes: c.server.options.MaxQueuedBytes, budget: &c.server.budget, stuck: c.stuck})
	for policy, n := range m {
		if n > 0 && policy != int(Disconnect) {
			c.server.options.Observer.MessagesDropped(DropPolicy(policy), n)
		}
	}
	if !ok {
		c.queue.drop(&c.server.budget)
		c.queue.makeRoom()
		c.drop(dropSlow, c.endpoint.Codes.Slow)
	}
	return ok
}

func (c *conn) needQueue() *queue {
	if c.queue == nil {
		c.queue = spareQueues.Get().(*queue)
	}
	return c.queue
}

func (c *conn) Close(cl Close) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close(cl)
}

func (c *conn) CloseAfter(d time.Duration, cl Close) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expiry = nil
	if d > 0 {
		c.expiry = &expiry{c.server.wheel.now() + d, cl}
	}
	c.setTimer()
}

// close queues the close frame and bounds the time until the end; the caller holds the lock.
func (c *conn) close(cl Close) bool {
	if c.ending != nil {
		return false
	}
	c.ending = &ending{farewell: cl}
	c.server.remaining.Add(-1)
	c.needQueue().force(closeFrame(cl), &c.server.budget)
	c.pulse, c.expiry = pulse{}, &expiry{at: c.server.wheel.now() + c.server.options.CloseTimeout}
	c.setTimer()
	c.signal(false)
	return true
}

// drop gives a client up, says so in the log and counts it; the caller holds the lock.
func (c *conn) drop(reason string, cl Close) {
	if !c.close(cl) {
		return
	}
	c.server.options.Observer.ClientDropped(reason)
	c.server.options.Logger.Info("client dropped", slog.String("reason", reason), slog.Int("code", cl.Code),
		slog.String("connection", c.ID()), slog.String("protocol", c.endpoint.Protocol), slog.String("ip", c.ip.String()))
}

// abort ends the connection whatever still waits.
func (c *conn) abort() {
	c.mu.Lock()
	c.aborted = true
	w := c.wire
	if c.inbox != nil && c.inbox.cancel != nil {
		c.inbox.cancel()
	}
	c.mu.Unlock()
	if w != nil {
		w.shut()
		c.end()
	}
}

// signal tells the wire that something waits, unless it knows; the caller holds the lock.
func (c *conn) signal(bulk bool) {
	if c.wire == nil || c.scheduled {
		return
	}
	c.scheduled = true
	c.wire.schedule(bulk)
}

// kick gives the wire a turn though nothing waits in the queue.
func (c *conn) kick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signal(false)
}

// take hands everything that waits to the wire. With nothing left the wire's turn is over.
func (c *conn) take() *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queue == nil || len(c.queue.waiting) == 0 {
		c.scheduled = false
		return nil
	}
	b := c.queue.take(&c.server.budget)
	b.last = c.ending != nil
	return b
}

// stall notes that the socket takes no more for now.
func (c *conn) stall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stuck = true
}

// wrote counts a batch that went out whole. It reports whether there is another one.
func (c *conn) wrote(b *batch) bool {
	messages, bytes, last := len(b.frames), b.bytes, b.last
	c.mu.Lock()
	c.stuck = false
	more := false
	if q := c.queue; q != nil {
		q.written(&c.server.budget)
		if q.hasRoom(c.server.options.MaxQueuedBytes) {
			q.makeRoom()
		}
		if more = len(q.waiting) > 0; !more {
			c.scheduled = false
		}
		if q.idle() {
			c.queue = nil
			q.reuse(&c.server.budget)
		}
	}
	if last {
		c.ending.said = true
		c.settle()
	}
	c.mu.Unlock()
	c.server.options.Observer.MessagesSent(c.endpoint.Protocol, messages, bytes)
	return more
}

// settle goes on from a close frame that is out; the caller holds the lock. Who sent one too is done.
// Who broke the protocol sees the end of the stream and may still be sending: closing a socket with
// unread bytes would reset it, and the reset would overtake the close frame.
func (c *conn) settle() {
	switch e := c.ending; {
	case !e.said:
	case e.answered:
		c.arrive(arrival{end: true})
	case e.broken:
		c.wire.closeWrite()
	}
}

// setTimer sets the wheel to what is due next; the caller holds the lock.
func (c *conn) setTimer() {
	at := c.pulse.next
	if c.expiry != nil && (at == 0 || c.expiry.at < at) {
		at = c.expiry.at
	}
	if at == 0 || c.over {
		c.server.wheel.clear(&c.timer)
		return
	}
	c.server.wheel.set(&c.timer, at)
}

// wake implements waker.
func (c *conn) wake(now time.Duration) {
	c.mu.Lock()
	expired := c.expiry != nil && now >= c.expiry.at
	switch {
	case c.over:
	case expired && c.ending != nil:
		// The peer does not answer the close frame.
		c.mu.Unlock()
		c.abort()
		return
	case expired:
		c.close(c.expiry.close)
	default:
		c.beat(now)
		c.setTimer()
	}
	c.mu.Unlock()
}
