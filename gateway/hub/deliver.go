package hub

import (
	"log/slog"
	"slices"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// This file takes one publication from the broker to the connections' queues. The stages, in their order:
//
//	Hub.Deliver         finds the channel.
//	deliverInOrder      lets one delivery of the channel run at a time.
//	classify            asks the stream tracker what the message is, and buffers it while something before it is missing.
//	apply               records the publication as delivered and marks subscribers that miss something.
//	beginFanOut         pins the slots of all subscribers that are attached now.
//	fanOut              goes through the encoder groups.
//	sendToGroup         encodes the publication once for each encoder and goes through the group's batches.
//	sendBatch           sends the frame to at most maxBatch subscribers.
//	endFanOut           unpins the slots.
//	notifyInsufficient  (insufficient.go) tells the marked subscribers, without a lock.
//
// A repair uses the stages from apply on for publications that it has read or that waited for it.

// maxBatch is the maximum number of subscribers that a delivery sends to before it lets go of the channel's mu.
const maxBatch = 256

// Deliver hands a publication from the broker to the channel's subscribers in this gateway. It implements
// broker.PublicationHandler. It waits for other deliveries of the same channel and for nothing else.
func (h *Hub) Deliver(channel string, p broker.Publication) {
	c := h.find(channel)
	if c == nil {
		return
	}
	if c.deliverInOrder(p) {
		c.notifyInsufficient()
	}
}

// deliverInOrder delivers one message, unless it has to wait for a repair. It reports whether the caller has to call
// notifyInsufficient.
func (c *channelState) deliverInOrder(p broker.Publication) (notify bool) {
	c.deliveryMu.Lock()
	defer c.deliveryMu.Unlock()
	groups, now := c.classify(p)
	if !now {
		return false
	}
	return c.fanOut(groups, p)
}

// classify decides whether a message goes out now, and returns the groups that it goes to. The caller holds deliveryMu.
func (c *channelState) classify(p broker.Publication) (groups []*encoderGroup, now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch v := c.tracker.classify(p); v {
	case verdictBuffer:
		c.tracker.buffer(p)
		return nil, false
	case verdictGap:
		c.tracker.buffer(p)
		c.startRepair()
		return nil, false
	default:
		return c.apply(p, v), true
	}
}

// apply records that a message with a verdict goes out, and returns the groups that it goes to. The caller holds
// deliveryMu and mu.
func (c *channelState) apply(p broker.Publication, v verdict) []*encoderGroup {
	switch v {
	case verdictGap:
		c.skipTo(p.Offset - 1)
	case verdictNewStream:
		c.tracker.restart(p.Position)
		c.restartSubscribers(1)
	case verdictRolledBack:
		c.invalidateEpoch(p.Epoch)
		c.tracker.restart(p.Position)
		c.restartSubscribers(p.Offset)
	case verdictEnded, verdictEndedDelivered:
		// A check soon, in case the stream has not ended after all.
		c.nextCheck = time.Now()
	case verdictNext, verdictDelivered, verdictBuffer:
	}
	if inStream(p) {
		c.tracker.lastMessage = p.Position
	}
	c.tracker.advance(p)
	if c.endedStream = v == verdictEnded; v == verdictEndedDelivered {
		return nil
	}
	return c.beginFanOut()
}

// beginFanOut pins the slots. Subscribers that attach before endFanOut are not part of the delivery. The caller holds
// mu.
func (c *channelState) beginFanOut() []*encoderGroup {
	c.slotsPinned = true
	groups := c.allGroups()
	for _, g := range groups {
		g.fanOutSize = len(g.slots)
	}
	return groups
}

// endFanOut unpins the slots, and reports whether there are subscribers to notify of their insufficient state.
func (c *channelState) endFanOut() (notify bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slotsPinned = false
	for _, g := range c.groups {
		g.compact()
		g.encoded = encoded{}
	}
	// From the end, because dropIfEmpty puts the last group in the place of the one that it drops.
	for _, g := range slices.Backward(c.filtered) {
		g.compact()
		c.dropIfEmpty(g)
	}
	return len(c.insufficient) > 0
}

// fanOut sends a publication to all subscribers that were attached at beginFanOut, and reports whether the caller has
// to call notifyInsufficient. The caller holds deliveryMu.
func (c *channelState) fanOut(groups []*encoderGroup, p broker.Publication) (notify bool) {
	// Deferred, because a panic of one subscriber must not leave the slots pinned.
	defer func() { notify = c.endFanOut() }()
	for _, g := range groups {
		if g.skips = !g.wants(p); !g.skips {
			g.all.encoded.subscribers += g.fanOutSize
		}
	}
	// Taken out for now: after a panic some subscribers have the publication, and others do not.
	before := c.takeBase(p)
	for _, g := range groups {
		c.sendToGroup(g, p, before)
	}
	c.keepBase(groups, p)
	return false
}

// encode encodes a publication for the groups of one encoder, once in a delivery. before is the base of a delta, or
// nil. The caller holds deliveryMu.
func (c *channelState) encode(g *encoderGroup, p broker.Publication, before *broker.Publication) *encoded {
	e := &g.all.encoded
	if e.done {
		return e
	}
	e.done = true
	if e.frame, e.err = g.encoder.Encode(c.name, p); e.err != nil {
		c.hub.options.Logger.Warn("publication not encoded", slog.String("channel", c.name), slog.Any("error", e.err))
		return e
	}
	e.frame = c.outgoing(e.frame, e.subscribers)
	c.encodeDelta(g, e, p, before)
	return e
}

// outgoing returns a frame as it goes out to so many subscribers.
func (c *channelState) outgoing(f transport.Frame, subscribers int) transport.Frame {
	if f.IsZero() {
		return f
	}
	f = f.InDropGroup(c.dropGroup)
	if subscribers > maxBatch {
		f = f.AsBroadcast()
	}
	return f
}

// sendToGroup sends a publication to one group in batches. A group that does not want one of the stream gets a zero
// frame. The caller holds deliveryMu.
func (c *channelState) sendToGroup(g *encoderGroup, p broker.Publication, before *broker.Publication) {
	if g.fanOutSize == 0 || g.skips && !inStream(p) {
		return
	}
	e := &encoded{}
	if !g.skips {
		if e = c.encode(g, p, before); e.err != nil {
			c.withhold(g, p)
			return
		}
	}
	for i := 0; i < g.fanOutSize; i += maxBatch {
		c.sendBatch(e, g, i, p.Kind, p.Offset)
	}
}

// sendBatch sends a frame to at most maxBatch subscribers of a group, from a slot on. A zero frame is only recorded.
// The caller holds deliveryMu.
func (c *channelState) sendBatch(e *encoded, g *encoderGroup, from int, kind broker.Kind, offset uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slots := g.slots[from:min(from+maxBatch, g.fanOutSize)]
	f := e.frame
	switch {
	case g.delta != nil && kind == broker.KindPublication:
		c.sendDeltas(e, slots, offset)
	case kind == broker.KindPublication && offset == 0 && !f.IsZero():
		for i := range slots {
			if m := slots[i].subscriber; m != nil {
				m.Send(f)
			}
		}
	default:
		for _, s := range slots {
			if s.subscriber != nil && s.subscription.accept(kind, offset, c.endedStream) && !f.IsZero() {
				s.subscriber.Send(f)
			}
		}
	}
}

// withhold marks the positioned subscribers of a group that a publication could not be encoded for. The caller holds
// deliveryMu.
func (c *channelState) withhold(g *encoderGroup, p broker.Publication) {
	if !inStream(p) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range g.slots[:g.fanOutSize] {
		if s.subscription != nil && !c.endedStream && s.subscription.after < p.Offset {
			s.subscription.markInsufficient()
		}
	}
}
