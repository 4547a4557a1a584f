package hub

import (
	"log/slog"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// restartSubscribers lets the subscribers go on in another stream, from an offset on. The state of positioned ones is
// insufficient. The caller holds deliveryMu and mu.
func (c *channelState) restartSubscribers(from uint64) {
	c.each(func(s *Subscription) {
		s.after = min(s.after, from-1)
		s.markInsufficient()
	})
}

// skipTo goes on in the stream behind an offset, without what is missing up to it. The caller holds deliveryMu and mu.
func (c *channelState) skipTo(offset uint64) {
	c.tracker.skipTo(offset)
	c.markInsufficientBehind(offset)
}

// markInsufficientBehind marks the positioned subscribers that lack something up to an offset. The caller holds mu.
func (c *channelState) markInsufficientBehind(offset uint64) {
	c.each(func(s *Subscription) {
		if s.after < offset {
			s.markInsufficient()
		}
	})
}

// invalidateEpoch ends the epoch of a stream that was rolled back, on all gateways: offsets that clients know of the
// part that was lost stand for other publications now. The caller holds mu.
func (c *channelState) invalidateEpoch(epoch string) {
	if c.tracker.rolledBackEpoch == epoch {
		return
	}
	c.tracker.rolledBackEpoch = epoch
	c.hub.repairs.enqueue(func() { c.removeEpoch(epoch, 0) })
}

// removeEpoch removes the history of an epoch at the broker, unless another gateway has done so. It tries again later
// after an error. It runs on a worker of the repair queue.
func (c *channelState) removeEpoch(epoch string, attempt int) {
	stream, err := c.history(c.hub.ctx, broker.HistoryQuery{})
	if err == nil && stream.Top.Epoch == epoch {
		err = c.hub.broker.EndEpoch(c.hub.ctx, c.name)
	}
	switch {
	case err == nil || c.hub.ctx.Err() != nil:
	case attempt < maxAttempts-1:
		c.hub.repairs.enqueueAfter(retryDelay(attempt), func() { c.removeEpoch(epoch, attempt+1) })
	default:
		c.hub.options.Logger.Warn("history of a stream that was rolled back could not be removed",
			slog.String("channel", c.name), slog.Any("error", err))
	}
}

// notifyInsufficient calls InsufficientState for every marked subscription. The caller holds no lock, because
// subscribers release their subscriptions in that call.
func (c *channelState) notifyInsufficient() {
	complete := false
	// A panic of one subscriber must not keep the call from the others.
	defer func() {
		if !complete {
			c.notifyInsufficient()
		}
	}()
	for s := c.nextInsufficient(); s != nil; s = c.nextInsufficient() {
		s.subscriber.InsufficientState(s)
	}
	complete = true
}

// nextInsufficient takes a marked subscription out of the list that has not been released, or returns nil.
func (c *channelState) nextInsufficient() *Subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.insufficient) > 0 {
		s := c.insufficient[0]
		if c.insufficient = c.insufficient[1:]; len(c.insufficient) == 0 {
			c.insufficient = nil
		}
		if !s.released {
			return s
		}
	}
	return nil
}
