package hub

import (
	"log/slog"
	"math"
	"math/rand/v2"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/recovery"
)

// Redis Pub/Sub may lose messages without a sign, the last one of a channel too. A repair reads what is missing from
// the stream and delivers it. It starts when a message shows a gap (deliver.go), when the broker was away (Resumed),
// and when a check finds the stream ahead (check.go). Subscribers miss only what the stream does not have any more.
//
// The steps of a repair, in their order:
//
//	startRepair      lets messages wait in the tracker and queues the repair.
//	repair           reads the stream after what was delivered, with retries.
//	applyRepair      delivers what was read.
//	finishRepair     delivers what waited, and repairs again when more is missing.

const (
	// maxAttempts is how often a read or a removal is tried.
	maxAttempts = 5
	// firstRetryDelay is the mean delay after the first attempt.
	firstRetryDelay = 200 * time.Millisecond
)

// retryDelay returns the delay after an attempt, counted from 0. It doubles with every attempt and is random within a
// factor of three, so that streams that failed together are not read together.
func retryDelay(attempt int) time.Duration {
	mean := firstRetryDelay << attempt
	return mean/2 + rand.N(mean)
}

// Resumed reports that the broker delivers a channel again after it was away, so that publications may be missing. It
// implements broker.PublicationHandler.
func (h *Hub) Resumed(channel string) {
	if c := h.find(channel); c != nil {
		c.scheduleRepair()
	}
}

// scheduleRepair starts a repair, or another one behind the one that runs. It does nothing when no subscriber would
// notice.
func (c *channelState) scheduleRepair() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.tracker.repairing:
		c.tracker.repairAgain = true
	case c.tracker.delivered.Epoch != "" && (c.hasPositioned() || c.tracker.recovering > 0):
		c.startRepair()
	}
}

// startRepair makes messages wait until the stream was read. The caller holds mu.
func (c *channelState) startRepair() {
	c.tracker.repairing = true
	c.hub.repairs.enqueue(func() { c.repair(0) })
}

// repair reads what is missing of a stream and delivers it, ahead of what waits. tracker.repairing keeps it from
// running twice at a time for a channel. It runs on a worker of the repair queue.
func (c *channelState) repair(attempt int) {
	defer c.recoverRepair()
	before := c.snapshot()
	stream, err := c.history(c.hub.ctx, broker.HistoryQuery{Since: &before.delivered, Limit: maxRecovered})
	switch {
	case c.hub.ctx.Err() != nil:
	case err == nil:
		c.applyRepair(before, stream)
	case attempt < maxAttempts-1:
		c.hub.repairs.enqueueAfter(retryDelay(attempt), func() { c.repair(attempt + 1) })
	default:
		c.hub.options.Logger.Warn("channel's stream could not be read: subscribers with a gap have to recover",
			slog.String("channel", c.name), slog.Any("error", err))
		c.hub.options.GapUnrepaired()
		c.abandonRepair()
		c.finishRepair(true)
	}
}

// applyRepair delivers what was read and then what waits.
func (c *channelState) applyRepair(before snapshot, stream broker.Stream) {
	same := c.replaceStream(before, stream.Top, true) == comparisonSame
	complete := same && c.deliverRead(stream)
	if !complete {
		c.hub.options.GapUnrepaired()
	}
	c.finishRepair(!same)
}

// finishRepair delivers what waits, and repairs again when more is missing. With force it skips what is missing,
// because it cannot be read.
func (c *channelState) finishRepair(force bool) {
	done := c.deliverBuffered(force)
	c.notifyInsufficient()
	if !done {
		c.hub.repairs.enqueue(func() { c.repair(0) })
	}
}

// replaceStream compares a stream that was read with the one that is delivered, and replaces that if it is another
// one. During a repair only the repair replaces it (byRepair), because what waits is older than the read and must go
// out first. The caller calls notifyInsufficient unless the result is comparisonSame.
func (c *channelState) replaceStream(before snapshot, top broker.Position, byRepair bool) comparison {
	c.deliveryMu.Lock()
	defer c.deliveryMu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.tracker
	found := t.compare(before, top)
	if found == comparisonSame || found == comparisonUncertain {
		return found
	}
	if t.repairing && !byRepair {
		t.repairAgain = true
		return comparisonUncertain
	}
	if found == comparisonReplaced {
		t.replace(top)
		c.restartSubscribers(1)
		return found
	}
	c.invalidateEpoch(top.Epoch)
	t.restart(top)
	c.restartSubscribers(top.Offset + 1)
	return found
}

// deliverRead delivers what was read. It reports false when something up to the top is missing.
func (c *channelState) deliverRead(stream broker.Stream) (complete bool) {
	complete = true
	for _, p := range stream.Publications {
		complete = c.deliverReadPublication(p) && complete
	}
	return c.advanceTo(stream.Top) && complete
}

// deliverReadPublication delivers one publication that was read. It reports false when something before it is missing.
// It takes deliveryMu for one publication only, so that messages wait in the tracker and not for the whole repair.
func (c *channelState) deliverReadPublication(p broker.Publication) (next bool) {
	c.deliveryMu.Lock()
	defer c.deliveryMu.Unlock()
	groups, next := c.applyRead(p)
	c.fanOut(groups, p)
	return next
}

// applyRead is apply for a publication that was read. The caller holds deliveryMu.
func (c *channelState) applyRead(p broker.Publication) (groups []*encoderGroup, next bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next = p.Offset == c.tracker.delivered.Offset+1
	if !next {
		c.skipTo(p.Offset - 1)
	}
	c.tracker.advance(p)
	c.endedStream = false
	return c.beginFanOut(), next
}

// advanceTo goes on at the top of what was read. It reports false when something up to it is missing.
func (c *channelState) advanceTo(top broker.Position) bool {
	c.deliveryMu.Lock()
	defer c.deliveryMu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tracker.delivered.Offset >= top.Offset {
		return true
	}
	c.skipTo(top.Offset)
	return false
}

// abandonRepair is for a stream that could not be read. A message that waits shows what is missing before it; without
// one, any positioned subscriber may have missed something.
func (c *channelState) abandonRepair() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, waits := c.tracker.buffered.first(); !waits {
		c.markInsufficientBehind(math.MaxUint64)
	}
}

// deliverBuffered delivers what waits, and reports whether the repair is done.
func (c *channelState) deliverBuffered(force bool) (done bool) {
	for {
		if more, done := c.deliverNextBuffered(force); !more {
			return done
		}
	}
}

// deliverNextBuffered delivers the first message that waits. New messages wait behind it until there is none.
func (c *channelState) deliverNextBuffered(force bool) (more, done bool) {
	c.deliveryMu.Lock()
	defer c.deliveryMu.Unlock()
	p, groups, more, done := c.applyNextBuffered(force)
	if more {
		c.fanOut(groups, p)
	}
	return more, done
}

// applyNextBuffered is classify for the first message that waits. Without one it ends the repair, and reports whether
// it is done. The caller holds deliveryMu.
func (c *channelState) applyNextBuffered(force bool) (p broker.Publication, groups []*encoderGroup, more, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.tracker
	p, waits := t.buffered.first()
	if !waits {
		// A publication that a read showed beyond this is on its way, or lost, or the stream was rolled back meanwhile.
		// One more read tells.
		done = !t.repairAgain && t.delivered.Offset >= t.knownTop
		t.repairing, t.repairAgain = !done, false
		return p, nil, false, done
	}
	v := t.classifyDelivered(p)
	if v == verdictGap && !force {
		t.knownTop = max(t.knownTop, p.Offset)
		return p, nil, false, false
	}
	t.buffered.drop()
	return p, c.apply(p, v), true, false
}

// recoverRepair keeps a panic in a repair from ending the gateway, or the channel. Defer it.
func (c *channelState) recoverRepair() {
	p := recover()
	if p == nil {
		return
	}
	c.hub.options.Logger.Error("repair of a channel's stream panicked",
		slog.String("channel", c.name), recovery.Attr(p))
	c.mu.Lock()
	c.tracker.repairing, c.tracker.repairAgain, c.tracker.buffered = false, false, backlog{}
	c.markInsufficientBehind(math.MaxUint64)
	c.mu.Unlock()
	c.notifyInsufficient()
}
