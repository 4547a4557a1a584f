package hub

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// checkInterval is the mean time between two checks of a stream.
	checkInterval = 40 * time.Second
	// checkTick is how often the hub looks for streams that are due.
	checkTick = time.Second
	// deliveryGrace is how long a message may be on its way before the stream is read instead.
	deliveryGrace = time.Second
)

// Run checks streams until the context ends. It returns no error. The caller must not use the hub after that, because
// it repairs nothing any more.
func (h *Hub) Run(ctx context.Context) error {
	defer h.repairs.stop()
	defer h.cancel()
	ticker := time.NewTicker(checkTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			h.enqueueChecks(now)
		}
	}
}

// enqueueChecks checks the streams that are due.
func (h *Hub) enqueueChecks(now time.Time) {
	for c := range h.channels(func(c *channelState) bool { return c.rule.History.Size > 0 }) {
		if c.checkDue(now) {
			h.repairs.enqueue(c.check)
		}
	}
}

// checkDue reports whether it is time to check a channel's stream, and sets the next time. The times are random, so
// that streams of clients that connected together are not read together.
func (c *channelState) checkDue(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.tracker
	if t.delivered.Epoch == "" || t.repairing || now.Before(c.nextCheck) {
		return false
	}
	first := c.nextCheck.IsZero()
	c.nextCheck = now.Add(checkInterval/2 + rand.N(checkInterval))
	return !first && c.hasPositioned()
}

// check compares the broker's stream with what was delivered. Deliveries go on meanwhile. It ignores a read that
// fails, because the next check reads again. It runs on a worker of the repair queue.
func (c *channelState) check() {
	r, _, err := c.readShared(c.hub.ctx, readKey{top: true})
	if err != nil {
		return
	}
	switch c.replaceStream(r.before, r.stream.Top, false) {
	case comparisonReplaced, comparisonRolledBack:
		c.notifyInsufficient()
	case comparisonSame:
		if c.behind(r) {
			c.hub.repairs.enqueueAfter(deliveryGrace, func() {
				if c.behind(r) {
					c.scheduleRepair()
				}
			})
		}
	case comparisonUncertain:
		// The next check tells.
	}
}

// behind reports whether the stream that was read is ahead of what was delivered.
func (c *channelState) behind(r streamRead) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.tracker
	return t.generation == r.before.generation && t.delivered.Offset < r.stream.Top.Offset
}
