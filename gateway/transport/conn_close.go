package transport

import (
	"log/slog"
	"time"
)

// closeState is a connection's closing handshake, RFC 6455 section 7.
type closeState struct {
	// frame is the content of the close frame that the gateway sends.
	frame Close
	// closeSent reports that this frame is written.
	closeSent bool
	// closeReceived reports that the client's close frame was handled.
	closeReceived bool
	// protocolError reports that the client violated the protocol: no close frame is expected of it.
	protocolError bool
}

// closeDeadline is a close that is due at a time.
type closeDeadline struct {
	// at is on the timing wheel's clock.
	at    time.Duration
	close Close
}

// startClose queues the close frame and limits the time until the end of the connection. It reports
// false when the connection is closing already. The caller holds the lock.
func (c *conn) startClose(cl Close) bool {
	if c.closing != nil {
		return false
	}
	c.closing = &closeState{frame: cl}
	c.server.remaining.Add(-1)
	c.ensureOutbound().add(closeFrame(cl), &c.server.budget)
	c.heartbeat = heartbeatState{}
	c.deadline = &closeDeadline{at: c.server.wheel.now() + c.server.options.CloseTimeout}
	c.setTimer()
	c.scheduleWrite(false)
	return true
}

// drop closes the connection of a client that the gateway gives up, logs it and counts it. The caller
// holds the lock.
func (c *conn) drop(reason string, cl Close) {
	if !c.startClose(cl) {
		return
	}
	c.server.options.Observer.ClientDropped(reason)
	c.server.options.Logger.Info("client dropped",
		slog.String("reason", reason), slog.Int("code", cl.Code), slog.String("connection", c.ID()),
		slog.String("protocol", c.endpoint.Protocol), slog.String("ip", c.ip.String()))
}

// dropInput drops the client because of what it sent: dropRate or dropMemory. With violation, the rest of its input is
// ignored, as after a violation of the protocol.
func (c *conn) dropInput(reason string, violation bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl := c.endpoint.Codes.Rate
	if reason == dropMemory {
		cl = c.endpoint.Codes.Memory
	}
	c.drop(reason, cl)
	if violation {
		c.closing.protocolError = true
		c.finishClose()
	}
}

// closeForClient closes because of the client's close frame or, with violation, because of what it sent
// instead of valid frames. When the gateway began to close, the client's frame is the answer to that.
func (c *conn) closeForClient(cl Close, violation bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.startClose(cl)
	c.closing.closeReceived, c.closing.protocolError = !violation, violation
	c.finishClose()
}

// finishClose takes the step that follows once the close frame is written. If the client sent one too,
// the connection ends. After a violation, the gateway ends only its half of the stream: the client may
// still be sending, and closing a socket with unread bytes resets it, which can overtake the close frame
// (RFC 6455 section 7.1.1). The caller holds the lock.
func (c *conn) finishClose() {
	switch s := c.closing; {
	case !s.closeSent:
	case s.closeReceived:
		c.enqueue(event{end: true})
	case s.protocolError:
		c.driver.closeWrite()
	}
}

// owesCloseFrame reports that the client sent its close frame, ended its stream, and waits for the
// gateway's close frame. The caller holds the lock.
func (c *conn) owesCloseFrame() bool {
	return c.closing != nil && c.closing.closeReceived && !c.closing.closeSent && !c.aborted
}

// abort ends the connection without writing what waits.
func (c *conn) abort() {
	c.mu.Lock()
	d := c.driver
	if d == nil {
		c.markAborted()
	}
	c.mu.Unlock()
	if d != nil {
		d.close()
		c.failed()
	}
}

// failed ends the connection after its driver closed the socket, because writing failed or because of
// abort.
func (c *conn) failed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.markAborted()
	c.enqueue(event{end: true})
}

// markAborted cancels what the handler does for the client. The caller holds the lock.
func (c *conn) markAborted() {
	c.aborted = true
	c.cancelHandling()
}

// terminate closes the socket after the last event.
func (c *conn) terminate() {
	c.mu.Lock()
	code := CodeAbnormal
	if c.closing != nil {
		code = c.closing.frame.Code
	}
	c.mu.Unlock()
	c.driver.close()
	c.finish(code)
}

// finish releases what the connection held, and calls OnClose.
func (c *conn) finish(code int) {
	c.mu.Lock()
	if c.closing == nil {
		c.closing = &closeState{}
		c.server.remaining.Add(-1)
	}
	wasEnding := c.inputEnded
	c.inputEnded = true
	c.refundInput()
	c.server.wheel.clear(&c.timer)
	if c.outbound != nil {
		c.outbound.abandon(&c.server.budget)
		c.outbound = nil
	}
	c.cancelHandling()
	reason, upgraded := c.closing.frame.Reason, c.driver != nil
	c.mu.Unlock()

	c.handler.OnClose(Close{code, reason})
	if upgraded {
		c.server.options.Observer.ConnectionClosed(c.endpoint.Protocol, code)
	}
	c.server.options.Logger.Debug("connection closed", slog.String("connection", c.ID()), slog.Int("code", code))
	if wasEnding {
		c.server.admission.countEnding(-1)
	}
	c.server.remove(c)
}
