package transport

import (
	"math/rand/v2"
	"time"
)

// Heartbeat says how to find out that a silent client is gone. Connections may share one.
type Heartbeat struct {
	// Ping is the message to send, such as the one that the function Ping returns.
	Ping Frame
	// Interval is the time between two pings.
	Interval time.Duration
	// Timeout is how long the client may take to answer. It is shorter than Interval.
	Timeout time.Duration
}

// stepsPerInterval is the number of moments in an interval at which clients begin with pings, unless they are more than
// maxStep apart.
const (
	stepsPerInterval = 100
	maxStep          = time.Second
)

// firstAt returns the moment, at or after a time, when clients that share the heartbeat begin with it. They go on
// together: pings that are sent together, and their answers, wake a few goroutines and not one after the other.
func (h *Heartbeat) firstAt(t time.Duration) time.Duration {
	step := max(1, min(h.Interval/stepsPerInterval, maxStep))
	return (t + step - 1) / step * step
}

// heartbeatState is the heartbeat of one connection. It alternates between sending a ping and checking
// the answer. The connection's lock guards it.
type heartbeatState struct {
	// Heartbeat is nil until StartHeartbeat, and again once the connection closes.
	*Heartbeat
	// next is when to ping or to check, on the timing wheel's clock.
	next time.Duration
	// pinged reports that the next step checks the answer.
	pinged bool
	// awaitingPong reports that the answer has not come yet.
	awaitingPong bool
}

// StartHeartbeat implements Conn. The first ping is sent at a random moment within the interval, so that
// clients that connected together are not pinged together.
func (c *conn) StartHeartbeat(h *Heartbeat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing != nil || c.heartbeat.Heartbeat != nil {
		return
	}
	c.heartbeat = heartbeatState{Heartbeat: h, next: h.firstAt(c.server.wheel.now() + rand.N(h.Interval))}
	c.setTimer()
}

// runHeartbeat sends the ping or checks the answer if that is due. The caller holds the lock.
func (c *conn) runHeartbeat(now time.Duration) {
	h := &c.heartbeat
	switch {
	case h.Heartbeat == nil || now < h.next:
	case !h.pinged:
		h.pinged, h.awaitingPong, h.next = true, true, now+h.Timeout
		c.send(h.Ping)
	case h.awaitingPong && c.isHandling():
		// The answer may be unread while the handler is busy, which is not the client's fault.
		h.next = now + h.Timeout
	case h.awaitingPong:
		c.drop(dropHeartbeat, c.endpoint.Codes.NoPong)
	default:
		h.pinged, h.next = false, now+h.Interval-h.Timeout
	}
}

// Pong implements Conn.
func (c *conn) Pong() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.heartbeat.awaitingPong {
		return false
	}
	c.heartbeat.awaitingPong = false
	return true
}
