package transport

import (
	"context"
	"log/slog"
	"sync"

	"github.com/wsfleet/wsfleet/internal/recovery"
)

// inbox is what came from the peer and waits for the handler, in the order in which it came. It is
// there while a goroutine takes from it. Its connection locks it.
type inbox struct {
	waiting []arrival
	// next is what of waiting comes next.
	next int
	// paused: the wire does not read until everything that waits is handled.
	paused bool
	// ctx is what messages are handled in. It ends when the connection is given up.
	ctx    context.Context
	cancel context.CancelFunc
}

var spareInboxes = sync.Pool{New: func() any { return &inbox{} }}

// sparedArrivals is how long a list may be that is kept for another inbox.
const sparedArrivals = 16

// reuse gives an empty inbox to the next connection that needs one.
func (in *inbox) reuse() {
	clear(in.waiting)
	*in = inbox{waiting: in.waiting[:0]}
	if cap(in.waiting) > sparedArrivals {
		in.waiting = nil
	}
	spareInboxes.Put(in)
}

// arrival is one of: a message, the peer's (or a violation's) close, one message too many, the end.
type arrival struct {
	kind Kind
	// packed: data is compressed. That is undone by who works, since the loop has others to read.
	packed bool
	data   []byte
	// close is how to answer. By the peer: it has said its part, and the connection ends with ours.
	close  *Close
	byPeer bool
	// excess: the peer has sent more than it may. What was allowed is handled before that ends it.
	excess bool
	end    bool
}

// arrive queues what came, and sees to it that somebody takes it; the caller holds the lock.
func (c *conn) arrive(a arrival) {
	if c.over {
		return
	}
	c.over = a.end
	if c.inbox == nil {
		c.inbox = spareInboxes.Get().(*inbox)
		c.server.crew.take(c)
	}
	c.inbox.waiting = append(c.inbox.waiting, a)
}

var spareParsers = sync.Pool{New: func() any { return &parser{} }}

// received parses what the wire read. It reports whether to read on; otherwise the wire's resume is
// called once the handler has caught up.
func (c *conn) received(b []byte) bool {
	p := c.parser
	if p == nil {
		p = spareParsers.Get().(*parser)
		*p = parser{limit: c.server.options.MaxMessageBytes, deflate: c.deflate}
	}
	violation := p.feed(b, c)
	if c.parser = p; p.isIdle() {
		c.parser = nil
		spareParsers.Put(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if violation != nil {
		c.arrive(arrival{close: violation})
	}
	if c.inbox != nil && !c.over {
		c.inbox.paused = true
		c.wire.pause()
		return false
	}
	return true
}

// end is called when there is nothing to read any more, or nobody to write to.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arrive(arrival{end: true})
}

// message implements incoming.
func (c *conn) message(kind Kind, data []byte) {
	c.messageCame(arrival{kind: kind, data: data})
}

// compressed implements incoming.
func (c *conn) compressed(kind Kind, data []byte) {
	c.messageCame(arrival{kind: kind, data: data, packed: true})
}

// messageCame counts a message as it came over the wire, and queues it.
func (c *conn) messageCame(a arrival) {
	c.server.options.Observer.MessageReceived(c.endpoint.Protocol, len(a.data))
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.admits():
		c.arrive(arrival{excess: true})
	case c.isPong(a):
		c.pulse.waiting = false
	default:
		c.arrive(a)
	}
}

// isPong tells an answer to a ping that needs no handler, since most messages of an idle client are
// such; the caller holds the lock.
func (c *conn) isPong(a arrival) bool {
	return c.pulse.waiting && c.inbox == nil && !a.packed && a.kind == Text && c.endpoint.Pong != "" && string(a.data) == c.endpoint.Pong
}

// ping implements incoming.
func (c *conn) ping(data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.admits() {
		c.arrive(arrival{excess: true})
		return
	}
	c.push(encodeFrame(opPong, data))
}

// pong implements incoming.
func (c *conn) pong() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pulse.waiting {
		c.pulse.waiting = false
	} else if !c.admits() {
		c.arrive(arrival{excess: true})
	}
}

// closed implements incoming.
func (c *conn) closed(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arrive(arrival{close: &Close{Code: code}, byPeer: true})
}

// work takes what arrived until nothing waits.
func (c *conn) work() {
	for {
		c.mu.Lock()
		in := c.inbox
		if in.next == len(in.waiting) {
			c.rest()
			c.mu.Unlock()
			return
		}
		a := in.waiting[in.next]
		in.waiting[in.next] = arrival{}
		in.next++
		closing := c.ending != nil
		if a.end && c.owesClose() {
			// settle ends it when that is out.
			c.over = false
			c.setTimer()
			c.mu.Unlock()
			continue
		}
		c.mu.Unlock()
		switch {
		case a.end:
			c.finishOpen()
			return
		case a.close != nil:
			c.answer(*a.close, a.byPeer)
		case a.excess:
			c.CloseRateLimited()
		case closing:
		case a.packed:
			c.unpack(a)
		default:
			c.handle(a.kind, a.data)
		}
	}
}

// rest goes back to reading when everything that came is handled; the caller holds the lock.
func (c *conn) rest() {
	in := c.inbox
	c.inbox = nil
	if in.cancel != nil {
		in.cancel()
	}
	// After its close frame the peer has nothing to say.
	if in.paused && (c.ending == nil || !c.ending.answered) {
		c.wire.resume()
	}
	in.reuse()
}

// owesClose tells that the peer has said its close and ended its stream, and waits for our close; the
// caller holds the lock.
func (c *conn) owesClose() bool {
	return c.ending != nil && c.ending.answered && !c.ending.said && !c.aborted
}

// context is what the messages of this inbox are handled in.
func (c *conn) context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := c.inbox
	if in.ctx == nil {
		in.ctx, in.cancel = context.WithCancel(c.server.base)
		if c.aborted {
			in.cancel()
		}
	}
	return in.ctx
}

// answer closes because of what the peer sent.
func (c *conn) answer(cl Close, byPeer bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// When the gateway began, this is the peer's answer, and the close does nothing.
	c.close(cl)
	c.ending.answered, c.ending.broken = byPeer, !byPeer
	c.settle()
}

// unpack decompresses a message for the handler.
func (c *conn) unpack(a arrival) {
	data, violation := inflate(a.kind, a.data, c.server.options.MaxMessageBytes)
	if violation != nil {
		c.answer(*violation, false)
		return
	}
	c.handle(a.kind, data)
}

// handle calls the handler. A bug met by one client's message must not end the others.
func (c *conn) handle(kind Kind, data []byte) {
	defer func() {
		if p := recover(); p != nil {
			c.server.options.Logger.Error("message handler failed", slog.String("connection", c.ID()), recovery.Attr(p))
			c.Close(Close{CodeInternal, "internal error"})
		}
	}()
	c.handler.OnMessage(c.context(), kind, data)
}

// finishOpen is the end of a connection that was open.
func (c *conn) finishOpen() {
	c.mu.Lock()
	code := CodeAbnormal
	if c.ending != nil {
		code = c.ending.farewell.Code
	}
	c.mu.Unlock()
	c.wire.shut()
	c.finish(code)
}

// finish gives back what the connection held.
func (c *conn) finish(code int) {
	c.mu.Lock()
	if c.ending == nil {
		c.ending = &ending{}
		c.server.remaining.Add(-1)
	}
	c.over = true
	c.server.wheel.clear(&c.timer)
	if c.queue != nil {
		c.queue.abandon(&c.server.budget)
		c.queue = nil
	}
	if c.inbox != nil && c.inbox.cancel != nil {
		c.inbox.cancel()
	}
	reason, open := c.ending.farewell.Reason, c.wire != nil
	c.mu.Unlock()

	c.handler.OnClose(Close{code, reason})
	if open {
		c.server.options.Observer.ConnectionClosed(c.endpoint.Protocol, code)
	}
	c.server.options.Logger.Debug("connection closed", slog.String("connection", c.ID()), slog.Int("code", code))
	c.server.remove(c)
}
