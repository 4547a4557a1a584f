package transport

import (
	"math/rand/v2"
	"time"
)

// pulse is a connection's heartbeat: one timer that in turn sends a ping and looks for its answer.
// Its fields are locked by the connection.
type pulse struct {
	Heartbeat
	timer *time.Timer
	// sent: the timer's next turn looks for the answer. waiting: there is none yet.
	sent, waiting bool
}

// StartHeartbeat implements Conn. The first ping comes at a random moment within the interval:
// clients that came together must not be pinged together for ever.
func (c *conn) StartHeartbeat(h Heartbeat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || c.pulse != nil {
		return
	}
	c.pulse = &pulse{Heartbeat: h}
	c.pulse.timer = time.AfterFunc(rand.N(h.Interval), c.beat)
}

// beat is the timer's turn.
func (c *conn) beat() {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pulse
	switch {
	case c.closing:
	case !p.sent:
		p.sent, p.waiting = true, true
		p.timer.Reset(p.Timeout)
		c.push(p.Ping)
	case p.waiting && c.isBusy():
		// The answer may lie behind a message that waits for the broker. That is not the peer's fault.
		p.timer.Reset(p.Timeout)
	case p.waiting:
		c.drop(dropHeartbeat, c.endpoint.Codes.NoPong)
	default:
		p.sent = false
		p.timer.Reset(p.Interval - p.Timeout)
	}
}

// Pong implements Conn.
func (c *conn) Pong() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pulse == nil || !c.pulse.waiting {
		return false
	}
	c.pulse.waiting = false
	return true
}
