package hub

import (
	"slices"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/tagfilter"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// channelState is a channel that the broker delivers to this gateway, or is asked to.
type channelState struct {
	hub  *Hub
	name string
	rule channel.Rule
	// dropGroup says which messages of the channel a slow client may miss. Nil: none.
	dropGroup *transport.DropGroup
	// confirmed is closed when the broker delivers the channel.
	confirmed chan struct{}

	// references is the number of subscriptions that were acquired and not released. The shard's mu guards it.
	references int
	// unsubscribeTimer runs while references is 0. The shard's mu guards it.
	unsubscribeTimer *time.Timer

	// deliveryMu is held during a delivery, so that all subscribers get publications in the same order and a change of
	// streams comes between two of them. It is taken before mu, and not held while the broker is asked.
	deliveryMu sync.Mutex
	// base is the latest publication, if deltas are made from it, or nil. deliveryMu guards it.
	base *broker.Publication

	// mu guards the fields below. A delivery takes it once per batch of subscribers.
	mu sync.Mutex
	// groups are those without a filter: one for each encoder.
	groups []*encoderGroup
	// filtered are those with a filter, and filteredByKey finds them. A filter that only one client has is usual.
	filtered      []*encoderGroup
	filteredByKey map[filterKey]*encoderGroup
	// slotsPinned is true during a delivery: then slots are emptied, but not moved.
	slotsPinned bool
	// endedStream is true while the delivered publication is of a stream that has ended.
	endedStream bool
	tracker     streamTracker
	// nextCheck is when the stream is compared with the broker's. Zero: no time is set yet.
	nextCheck time.Time
	// insufficient holds the subscriptions whose subscribers have not been notified of their insufficient state.
	insufficient []*Subscription
	// reads holds the reads of the stream that are under way. They are few, so that a list does.
	reads []*sharedRead
}

// encoderGroup holds the subscribers of a channel that share an encoder, which are those of one protocol, and a filter.
type encoderGroup struct {
	encoder Encoder
	// filter is nil for subscribers that want all publications.
	filter *tagfilter.Filter
	// delta is the encoder if it makes deltas, or nil.
	delta DeltaEncoder
	// all is the group of the encoder without a filter, which may be the group itself.
	all *encoderGroup
	// index is that of a group with a filter in the channel's list.
	index int
	// slots holds the subscribers. A slot is empty when its subscriber left during a delivery.
	slots []slot
	// empty is the number of empty slots.
	empty int
	// fanOutSize is the number of slots at the beginning of the current delivery. Subscribers that attach during the
	// delivery are behind it.
	fanOutSize int
	// skips reports that the subscribers do not want the publication of the current delivery. deliveryMu guards it.
	skips bool
	// encoded is what the groups of the encoder get in the current delivery. It is used in the group without a filter
	// only, and its channel's deliveryMu guards it.
	encoded encoded
}

// encoded is a publication for the subscribers of one encoder.
type encoded struct {
	// subscribers is the number of those that want it.
	subscribers int
	// done reports that frame and err are set.
	done  bool
	frame transport.Frame
	// delta is the frame for subscribers that have the publication before, or zero.
	delta transport.Frame
	err   error
}

// slot is the place of one subscriber. It repeats the subscriber, so that a delivery in a channel without history
// walks along the slots and does not touch the subscriptions.
type slot struct {
	// subscriber is nil in an empty slot, and when the subscriber's state is insufficient.
	subscriber   Subscriber
	subscription *Subscription
}

// add puts an attached subscription into the last slot of its group. The caller holds mu.
func (c *channelState) add(s *Subscription) {
	g := c.groupFor(s.subscriber)
	s.index = len(g.slots)
	g.slots = append(g.slots, slot{untailored(s.subscriber), s})
}

// remove frees the slot of a subscription. The caller holds mu.
func (c *channelState) remove(s *Subscription) {
	g := c.groupOf(s)
	if c.slotsPinned {
		g.slots[s.index] = slot{}
		g.empty++
		return
	}
	last := len(g.slots) - 1
	g.slots[s.index] = g.slots[last]
	g.slots[s.index].subscription.index = s.index
	g.slots[last] = slot{}
	g.slots = g.slots[:last]
	c.dropIfEmpty(g)
}

// groupOf returns the group of an attached subscription. The caller holds mu.
func (c *channelState) groupOf(s *Subscription) *encoderGroup {
	if t, ok := s.subscriber.(*tailored); ok {
		return t.group
	}
	return c.group(s.subscriber.Encoder())
}

// groupFor returns the group for a subscriber that attaches. The caller holds mu.
func (c *channelState) groupFor(m Subscriber) *encoderGroup {
	t, ok := m.(*tailored)
	if !ok {
		return c.group(m.Encoder())
	}
	if t.group = c.group(t.Encoder()); t.filter != nil {
		t.group = c.filteredGroup(t.group, t.filter)
	}
	return t.group
}

// group returns the group of an encoder without a filter, and makes it when it is the first of its kind. The caller
// holds mu.
func (c *channelState) group(e Encoder) *encoderGroup {
	for _, g := range c.groups {
		if g.encoder == e {
			return g
		}
	}
	g := &encoderGroup{encoder: e}
	g.delta, _ = e.(DeltaEncoder)
	g.all = g
	c.groups = append(c.groups, g)
	return g
}

// compact closes the holes that subscribers left during a delivery. The caller holds the channel's mu.
func (g *encoderGroup) compact() {
	if g.empty == 0 {
		return
	}
	kept := g.slots[:0]
	for _, s := range g.slots {
		if s.subscription != nil {
			s.subscription.index = len(kept)
			kept = append(kept, s)
		}
	}
	clear(g.slots[len(kept):])
	g.slots, g.empty = kept, 0
}

// allGroups returns the groups with and without a filter. The caller holds mu and must not change the slice.
func (c *channelState) allGroups() []*encoderGroup {
	if len(c.filtered) == 0 {
		return c.groups
	}
	return slices.Concat(c.groups, c.filtered)
}

// each calls f for every attached subscription. The caller holds mu.
func (c *channelState) each(f func(s *Subscription)) {
	for _, g := range c.allGroups() {
		for _, s := range g.slots {
			if s.subscription != nil {
				f(s.subscription)
			}
		}
	}
}

// size returns the number of attached subscriptions.
func (c *channelState) size() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.allGroups() {
		n += len(g.slots) - g.empty
	}
	return n
}

// inPresence returns the subscribers that attached with InPresence.
func (c *channelState) inPresence() (out []Subscriber) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.each(func(s *Subscription) {
		if s.inPresence {
			out = append(out, untailored(s.subscriber))
		}
	})
	return out
}

// hasPositioned reports whether a positioned subscriber is attached whose state is sufficient. The caller holds mu.
func (c *channelState) hasPositioned() (found bool) {
	c.each(func(s *Subscription) { found = found || s.positioned && !s.insufficient })
	return found
}
