package transport

import (
	"math/rand/v2"
	"time"
)

// Heartbeat is how a silent connection is told from a dead one. It may be shared by connections.
type Heartbeat struct {
	Ping     Frame
	Interval time.Duration
	// Timeout is shorter than Interval.
	Timeout time.Duration
}

// pulse is a connection's heartbeat: in turn it sends a ping and looks for its answer. Its fields are
// locked by the connection.
type pulse struct {
	*Heartbeat
	// next is when its turn comes, on the wheel's clock.
	next time.Duration
	// sent: the next turn looks for the answer. waiting: there is none yet.
	sent, waiting bool
}

// StartHeartbeat implements Conn. The first ping comes at a random moment within the interval:
// clients that came together must not be pinged together for ever.
func (c *conn) StartHeartbeat(h *Heartbeat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil || c.pulse.Heartbeat != nil {
		return
	}
	c.pulse = pulse{Heartbeat: h, next: c.server.wheel.now() + rand.N(h.Interval)}
	c.setTimer()
}

// beat is the heartbeat's turn, if it is time; the caller holds the lock.
func (c *conn) beat(now time.Duration) {
	p := &c.pulse
	switch {
	case p.Heartbeat == nil || now < p.next:
	case !p.sent:
		p.sent, p.waiting, p.next = true, true, now+p.Timeout
		c.push(p.Ping)
	case p.waiting && c.inbox != nil:
		// The answer may lie behind a message that waits for the broker. That is not the peer's fault.
		p.next = now + p.Timeout
	case p.waiting:
		c.drop(dropHeartbeat, c.endpoint.Codes.NoPong)
	default:
		p.sent, p.next = false, now+p.Interval-p.Timeout
	}
}

// Pong implements Conn.
func (c *conn) Pong() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.pulse.waiting {
		return false
	}
	c.pulse.waiting = false
	return true
}
