package transport

import (
	"log/slog"
	"runtime/debug"
)

// inbox is what came from the peer and waits for the handler, in the order in which it came. Its
// connection locks it.
type inbox struct {
	waiting []arrival
	// working: a goroutine takes from it.
	working bool
	// paused: the wire does not read until everything that waits is handled.
	paused bool
	// ended: nothing comes any more.
	ended bool
}

// arrival is one of: a message, the peer's (or a violation's) close, the end.
type arrival struct {
	kind Kind
	data []byte
	// close is how to answer. By the peer: it has said its part, and the connection ends with ours.
	close  *Close
	byPeer bool
	end    bool
}

// arrive queues what came, and sees to it that somebody takes it; the caller holds the lock.
func (c *conn) arrive(a arrival) {
	if c.inbox.ended {
		return
	}
	c.inbox.ended = a.end
	c.inbox.waiting = append(c.inbox.waiting, a)
	if !c.inbox.working {
		c.inbox.working = true
		go c.work()
	}
}

// received parses what the wire read. It reports whether to read on; otherwise the wire's resume is
// called once the handler has caught up.
func (c *conn) received(b []byte) bool {
	violation := c.parser.feed(b, c)
	c.mu.Lock()
	defer c.mu.Unlock()
	if violation != nil {
		c.arrive(arrival{close: violation})
	}
	if len(c.inbox.waiting) > 0 && !c.inbox.ended {
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
	c.server.options.Observer.MessageReceived(c.endpoint.Protocol, len(data))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arrive(arrival{kind: kind, data: data})
}

// ping implements incoming.
func (c *conn) ping(data []byte) { c.Send(encodeFrame(opPong, data)) }

// pong implements incoming.
func (c *conn) pong() { c.Pong() }

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
		if len(c.inbox.waiting) == 0 {
			c.inbox.working, c.inbox.waiting = false, nil
			if c.inbox.paused {
				c.inbox.paused = false
				c.wire.resume()
			}
			c.mu.Unlock()
			return
		}
		a := c.inbox.waiting[0]
		c.inbox.waiting = c.inbox.waiting[1:]
		closing := c.closing
		c.mu.Unlock()
		switch {
		case a.end:
			c.over()
			return
		case a.close != nil:
			c.answer(*a.close, a.byPeer)
		case !closing:
			c.handle(a.kind, a.data)
		}
	}
}

// answer closes because of what the peer sent.
func (c *conn) answer(cl Close, byPeer bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// When the gateway began, this is the peer's answer, and the close does nothing.
	c.close(cl)
	c.answered, c.broken = byPeer, !byPeer
	c.settle()
}

// handle calls the handler. A bug met by one client's message must not end the others.
func (c *conn) handle(kind Kind, data []byte) {
	defer func() {
		if p := recover(); p != nil {
			c.server.options.Logger.Error("message handler failed", slog.Any("panic", p), slog.String("connection", c.id), slog.String("stack", string(debug.Stack())))
			c.Close(Close{CodeInternal, "internal error"})
		}
	}()
	c.handler.OnMessage(kind, data)
}

// over is the end of a connection that was open.
func (c *conn) over() {
	c.mu.Lock()
	code := CodeAbnormal
	if c.closing {
		code = c.farewell.Code
	}
	c.mu.Unlock()
	c.wire.shut()
	c.finish(code)
}

// finish gives back what the connection held.
func (c *conn) finish(code int) {
	c.mu.Lock()
	if !c.closing {
		c.closing = true
		c.server.remaining.Add(-1)
	}
	if c.pulse != nil {
		c.pulse.timer.Stop()
	}
	if c.linger != nil {
		c.linger.Stop()
	}
	reason, open := c.farewell.Reason, c.wire != nil
	c.mu.Unlock()
	c.cancel()

	c.handler.OnClose(Close{code, reason})
	if open {
		c.server.options.Observer.ConnectionClosed(c.endpoint.Protocol, code)
	}
	c.server.options.Logger.Debug("connection closed", slog.String("connection", c.id), slog.Int("code", code))
	c.server.remove(c)
}

// isBusy tells that the handler has not caught up with what came; the caller holds the lock.
func (c *conn) isBusy() bool { return c.inbox.working }

func (c *conn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}
