package transport

import (
	"context"
	"log/slog"
	"sync"

	"github.com/wsfleet/wsfleet/internal/recovery"
)

// inboundQueue holds the events that wait for the handler, in the order in which they were received. It
// exists while a worker handles them. The connection's lock guards it.
type inboundQueue struct {
	events []event
	// next is the index of the first event that was not handled yet.
	next int
	// readPaused reports that the driver does not read until all events are handled.
	readPaused bool
	// ctx is the context of the handler's calls. It is canceled when the connection ends, and nil until
	// the first call.
	ctx    context.Context
	cancel context.CancelFunc
}

var inboundQueuePool = sync.Pool{New: func() any { return &inboundQueue{} }}

// maxPooledEvents is the longest event list that a pooled queue keeps.
const maxPooledEvents = 16

// recycle returns an empty queue to the pool.
func (q *inboundQueue) recycle() {
	clear(q.events)
	*q = inboundQueue{events: q.events[:0]}
	if cap(q.events) > maxPooledEvents {
		q.events = nil
	}
	inboundQueuePool.Put(q)
}

// event is one of: a message, a close, a message above the rate limit, the end of input.
type event struct {
	kind Kind
	// compressed reports that the worker has to decompress data, so that the event loop need not.
	compressed bool
	data       []byte
	// close is not nil for the client's close frame and, with violation, for a violation of the protocol.
	// It says how to close the connection.
	close     *Close
	violation bool
	// rateLimited is the first message above the rate limit. The messages before it are handled first.
	rateLimited bool
	// end is the last event: there is nothing more to read, or the socket is closed.
	end bool
}

// enqueue queues an event and starts a worker unless one is running. It does nothing after the last
// event. The caller holds the lock.
func (c *conn) enqueue(e event) {
	if c.inputEnded {
		return
	}
	c.inputEnded = e.end
	if c.inbound == nil {
		c.inbound = inboundQueuePool.Get().(*inboundQueue)
		c.server.workers.start(c)
	}
	c.inbound.events = append(c.inbound.events, e)
}

var parserPool = sync.Pool{New: func() any { return &parser{} }}

// received parses the bytes that the driver read, and unmasks them in place. It pauses reading if events
// wait for the handler afterwards.
func (c *conn) received(b []byte) {
	p := c.parser
	if p == nil {
		p = parserPool.Get().(*parser)
		*p = parser{limit: c.server.options.MaxMessageBytes, deflate: c.deflate}
	}
	violation := p.feed(b, c)
	if c.parser = p; p.isIdle() {
		c.parser = nil
		parserPool.Put(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if violation != nil {
		c.enqueue(event{close: violation, violation: true})
	}
	if c.inbound != nil && !c.inputEnded {
		c.inbound.readPaused = true
		c.driver.pauseReading()
	}
}

// readEnded ends the connection's input: the client ended its stream, or reading failed.
func (c *conn) readEnded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enqueue(event{end: true})
}

// onMessage implements frameHandler.
func (c *conn) onMessage(kind Kind, data []byte) {
	c.enqueueMessage(event{kind: kind, data: data})
}

// onCompressedMessage implements frameHandler.
func (c *conn) onCompressedMessage(kind Kind, data []byte) {
	c.enqueueMessage(event{kind: kind, data: data, compressed: true})
}

// enqueueMessage counts a message with its length on the wire, and queues it.
func (c *conn) enqueueMessage(e event) {
	c.server.options.Observer.MessageReceived(c.endpoint.Protocol, len(e.data))
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.countMessage():
		c.enqueue(event{rateLimited: true})
	case c.isPong(e):
		c.heartbeat.awaitingPong = false
	default:
		c.enqueue(e)
	}
}

// isPong reports whether a message only answers a ping of the endpoint's protocol. It is handled without
// a worker, because an idle client sends little else. The caller holds the lock.
func (c *conn) isPong(e event) bool {
	return c.heartbeat.awaitingPong && c.inbound == nil && !e.compressed && e.kind == Text &&
		c.endpoint.Pong != "" && string(e.data) == c.endpoint.Pong
}

// onPing implements frameHandler.
func (c *conn) onPing(data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.countMessage() {
		c.enqueue(event{rateLimited: true})
		return
	}
	c.send(encodeFrame(opPong, data))
}

// onPong implements frameHandler. A pong without a ping counts against the rate limit.
func (c *conn) onPong() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.heartbeat.awaitingPong {
		c.heartbeat.awaitingPong = false
	} else if !c.countMessage() {
		c.enqueue(event{rateLimited: true})
	}
}

// onClose implements frameHandler.
func (c *conn) onClose(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enqueue(event{close: &Close{Code: code}})
}

// run implements job. It handles queued events until none is left.
func (c *conn) run() {
	for {
		c.mu.Lock()
		q := c.inbound
		if q.next == len(q.events) {
			c.idle()
			c.mu.Unlock()
			return
		}
		e := q.events[q.next]
		q.events[q.next] = event{}
		q.next++
		closing := c.closing != nil
		if e.end && c.owesCloseFrame() {
			// finishClose queues the end again when the close frame is written.
			c.inputEnded = false
			c.setTimer()
			c.mu.Unlock()
			continue
		}
		c.mu.Unlock()
		switch {
		case e.end:
			c.terminate()
			return
		case e.close != nil:
			c.closeForClient(*e.close, e.violation)
		case e.rateLimited:
			c.CloseRateLimited()
		case closing:
		case e.compressed:
			c.decompress(e)
		default:
			c.callHandler(e.kind, e.data)
		}
	}
}

// idle releases the empty inbound queue and resumes reading. The caller holds the lock.
func (c *conn) idle() {
	q := c.inbound
	c.inbound = nil
	if q.cancel != nil {
		q.cancel()
	}
	// Nothing may follow the client's close frame.
	if q.readPaused && (c.closing == nil || !c.closing.closeReceived) {
		c.driver.resumeReading()
	}
	q.recycle()
}

// handlerContext returns the context of the handler's calls.
func (c *conn) handlerContext() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.inbound
	if q.ctx == nil {
		q.ctx, q.cancel = context.WithCancel(c.server.base)
		if c.aborted {
			q.cancel()
		}
	}
	return q.ctx
}

// decompress decompresses a message and calls the handler with its content.
func (c *conn) decompress(e event) {
	data, violation := inflate(e.kind, e.data, c.server.options.MaxMessageBytes)
	if violation != nil {
		c.closeForClient(*violation, true)
		return
	}
	c.callHandler(e.kind, data)
}

// callHandler calls the handler with a message. A panic closes this connection and leaves the others
// alone.
func (c *conn) callHandler(kind Kind, data []byte) {
	defer func() {
		if p := recover(); p != nil {
			c.server.options.Logger.Error("message handler failed", slog.String("connection", c.ID()), recovery.Attr(p))
			c.Close(Close{CodeInternal, "internal error"})
		}
	}()
	c.handler.OnMessage(c.handlerContext(), kind, data)
}
