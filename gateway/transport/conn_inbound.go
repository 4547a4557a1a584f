package transport

import (
	"cmp"
	"context"
	"log/slog"
	"sync"

	"github.com/wsfleet/wsfleet/internal/recovery"
)

// inboundQueue holds the events that wait for the handler, in the order in which they were received. It
// exists while a worker handles them or a function of Go runs. The connection's lock guards it.
type inboundQueue struct {
	events []event
	// next is the index of the first event that was not handled yet.
	next int
	// bytes is the size of the messages in events that were not handled yet.
	bytes int
	// handling reports that a worker handles events.
	handling bool
	// readPaused reports that the driver does not read until all events are handled.
	readPaused bool
	// inputOver reports that the client closed or ended its stream, so that no reply has a reader.
	inputOver bool
	// ctx is the context of the handler's calls. It is canceled when the connection ends or the client's input is over,
	// and nil until the first call.
	ctx    context.Context
	cancel context.CancelFunc
	// charge is that of the message which the handler handles. It is nil for a small one.
	charge *charge
	// calls are the functions of Go that have not returned. It is nil until the first one.
	calls *calls
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

const (
	// maxReadAheadBytes and maxReadAheadEvents limit what waits behind the message that the handler handles. A client's
	// close and its pings are noticed up to there.
	maxReadAheadBytes  = 16 << 10
	maxReadAheadEvents = 64
)

// isFull reports whether as much waits as may be read ahead.
func (q *inboundQueue) isFull() bool {
	return q.bytes > maxReadAheadBytes || len(q.events)-q.next > maxReadAheadEvents
}

// pop removes the next event from the queue.
func (q *inboundQueue) pop() event {
	e := q.events[q.next]
	q.events[q.next] = event{}
	q.next++
	q.bytes -= len(e.data)
	return e
}

// event is one of: a message, a close, a reason to drop the client, the end of input.
type event struct {
	kind Kind
	// compressed reports that the worker has to decompress data, so that the event loop need not.
	compressed bool
	data       []byte
	charge     *charge
	// close is not nil for the client's close frame and, with violation, for a violation of the protocol.
	// It says how to close the connection.
	close     *Close
	violation bool
	// drop is the reason to drop the client, or empty. The messages before it are handled first. With violation, the
	// rest of the client's input is ignored.
	drop string
	// end is the last event: there is nothing more to read, or the socket is closed.
	end bool
}

// enqueue queues an event and starts a worker unless one is running. It does nothing after the last
// event. The caller holds the lock.
func (c *conn) enqueue(e event) {
	if c.inputEnded {
		return
	}
	if c.inputEnded = e.end; e.end {
		c.server.admission.countEnding(1)
	}
	if c.inbound == nil {
		c.inbound = inboundQueuePool.Get().(*inboundQueue)
	}
	q := c.inbound
	if !q.handling {
		q.handling = true
		c.server.workers.start(c)
	}
	q.events = append(q.events, e)
	q.bytes += len(e.data)
	if e.end || e.close != nil {
		q.inputOver = true
		c.cancelHandling()
	}
}

// isHandling reports whether events wait for the handler or are being handled. The caller holds the lock.
func (c *conn) isHandling() bool { return c.inbound != nil && c.inbound.handling }

// cancelHandling cancels the context of the handler's calls. The caller holds the lock.
func (c *conn) cancelHandling() {
	if c.inbound != nil && c.inbound.cancel != nil {
		c.inbound.cancel()
	}
}

var parserPool = sync.Pool{New: func() any { return &parser{} }}

// received parses the bytes that the driver read, and unmasks them in place. It pauses reading if as many events wait
// for the handler as may be read ahead.
func (c *conn) received(b []byte) {
	p := c.parser
	if p == nil {
		p = parserPool.Get().(*parser)
		*p = parser{limit: c.maxMessageBytes(), deflate: c.deflate}
	}
	violation := p.feed(b, c)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parser = p
	if violation != nil {
		c.enqueue(event{close: violation, violation: true})
	}
	if !c.chargeInput() {
		p.stop()
		c.refundInput()
		c.enqueue(event{drop: dropMemory, violation: true})
	}
	if p.isIdle() {
		c.parser = nil
		parserPool.Put(p)
	}
	if c.isHandling() && !c.inputEnded && c.inbound.isFull() {
		c.inbound.readPaused = true
		c.driver.pauseReading()
	}
}

// maxMessageBytes returns the maximum size of a message of this connection.
func (c *conn) maxMessageBytes() int {
	return cmp.Or(c.endpoint.MaxMessageBytes, c.server.options.MaxMessageBytes)
}

// chargeInput charges the budget for what the parser holds of an incomplete message. It reports false when that grew
// and there is no room. The caller holds the lock.
func (c *conn) chargeInput() bool {
	held := 0
	if !c.inputEnded {
		held = chargeable(c.parser.heldBytes())
	}
	growth := held - c.parser.charged
	switch {
	case growth == 0:
		// As for most reads, which leave the counters of the gateway alone.
		return true
	case growth > 0 && !c.server.budget.mayReceive():
		return false
	}
	c.parser.charged = held
	c.server.budget.receive(growth)
	return true
}

// refundInput undoes chargeInput. The caller holds the lock.
func (c *conn) refundInput() {
	if c.parser != nil {
		c.server.budget.receive(-c.parser.charged)
		c.parser.charged = 0
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
	if !c.countReceived() {
		c.enqueue(event{drop: dropRate})
		return
	}
	if c.isPong(e) {
		c.heartbeat.awaitingPong = false
		return
	}
	if c.inputEnded {
		return
	}
	var ok bool
	if e.charge, ok = c.server.budget.charge(len(e.data)); !ok {
		e = event{drop: dropMemory}
	}
	c.enqueue(e)
}

// isPong reports whether a message only answers a ping of the endpoint's protocol. It is handled without
// a worker, because an idle client sends little else. The caller holds the lock.
func (c *conn) isPong(e event) bool {
	return c.heartbeat.awaitingPong && !c.isHandling() && !e.compressed && e.kind == Text &&
		c.endpoint.Pong != "" && string(e.data) == c.endpoint.Pong
}

// onPing implements frameHandler.
func (c *conn) onPing(data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.countMessage() {
		c.enqueue(event{drop: dropRate})
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
		c.enqueue(event{drop: dropRate})
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
		e := q.pop()
		q.charge = e.charge
		closing := c.closing != nil
		if e.end && c.owesCloseFrame() {
			// finishClose queues the end again when the close frame is written.
			c.inputEnded = false
			c.server.admission.countEnding(-1)
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
		case e.drop != "":
			c.dropInput(e.drop, e.violation)
		case closing:
		case e.compressed:
			c.decompress(e)
		default:
			c.callHandler(e.kind, e.data)
		}
		e.charge.release()
	}
}

// idle notes that all events are handled, and resumes reading. The caller holds the lock.
func (c *conn) idle() {
	q := c.inbound
	q.handling, q.charge = false, nil
	q.events, q.next = q.events[:0], 0
	// Nothing may follow the client's close frame.
	if q.readPaused && (c.closing == nil || !c.closing.closeReceived) {
		c.driver.resumeReading()
	}
	q.readPaused = false
	c.recycleInbound()
}

// recycleInbound releases the inbound queue unless events are being handled or functions of Go run. The caller holds
// the lock.
func (c *conn) recycleInbound() {
	q := c.inbound
	if q.handling || q.calls.running() > 0 {
		return
	}
	c.inbound = nil
	if q.cancel != nil {
		q.cancel()
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
		if c.aborted || q.inputOver {
			q.cancel()
		}
	}
	return q.ctx
}

// decompress decompresses a message and calls the handler with its content.
func (c *conn) decompress(e event) {
	data, violation := inflate(e.kind, e.data, c.maxMessageBytes())
	if violation != nil {
		c.closeForClient(*violation, true)
		return
	}
	content, ok := c.server.budget.charge(len(data))
	if !ok {
		c.dropInput(dropMemory, false)
		return
	}
	defer content.release()
	c.mu.Lock()
	c.inbound.charge = content
	c.mu.Unlock()
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
