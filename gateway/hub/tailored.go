package hub

import (
	"bytes"
	"slices"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/tagfilter"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// DeltaEncoder encodes publications for subscribers that make each one of the one before it and what has changed. The
// first one that a subscriber gets is whole, and so is each one after one that it did not get.
type DeltaEncoder interface {
	Encoder
	// EncodeDelta returns the push of what makes p of the publication before it, or a zero frame when the whole p is
	// better. The hub sends whole ones after an error.
	EncodeDelta(channel string, before, p broker.Publication) (transport.Frame, error)
}

// tailored is a subscriber with a filter or an encoder for this subscription. Most have none, and there are as many
// subscriptions as connections times channels, so that these have no fields there.
type tailored struct {
	Subscriber
	filter *tagfilter.Filter
	// delta is nil for the subscriber's own encoder.
	delta DeltaEncoder
	// group is the subscription's, once it is attached. The channel's mu guards it.
	group *encoderGroup
}

// filterKey finds the groups of one encoder and one filter.
type filterKey struct {
	encoder Encoder
	filter  tagfilter.Key
}

// filteredGroup returns the group of a filter beside that of its encoder without a filter, and makes it when it is the
// first of its kind. The caller holds mu.
func (c *channelState) filteredGroup(all *encoderGroup, f *tagfilter.Filter) *encoderGroup {
	key := filterKey{all.encoder, f.Key()}
	if g := c.filteredByKey[key]; g != nil {
		return g
	}
	g := &encoderGroup{encoder: all.encoder, filter: f, all: all, delta: all.delta, index: len(c.filtered)}
	if c.filteredByKey == nil {
		c.filteredByKey = map[filterKey]*encoderGroup{}
	}
	c.filtered, c.filteredByKey[key] = append(c.filtered, g), g
	return g
}

// dropIfEmpty drops a group that has a filter and no subscriber any more. The caller holds mu.
func (c *channelState) dropIfEmpty(g *encoderGroup) {
	if g.filter == nil || len(g.slots) > 0 {
		return
	}
	delete(c.filteredByKey, filterKey{g.encoder, g.filter.Key()})
	last := len(c.filtered) - 1
	c.filtered[g.index] = c.filtered[last]
	c.filtered[g.index].index = g.index
	c.filtered[last] = nil
	c.filtered = c.filtered[:last]
}

// tailor returns a subscriber as the options want it.
func tailor(m Subscriber, o AttachOptions) Subscriber {
	if o.Filter == nil && o.Delta == nil {
		return m
	}
	return &tailored{Subscriber: m, filter: o.Filter, delta: o.Delta}
}

// Encoder implements Subscriber.
func (t *tailored) Encoder() Encoder {
	if t.delta != nil {
		return t.delta
	}
	return t.Subscriber.Encoder()
}

// untailored returns the subscriber that was attached.
func untailored(m Subscriber) Subscriber {
	if t, ok := m.(*tailored); ok {
		return t.Subscriber
	}
	return m
}

// wants reports whether the subscribers of the group get a message: their filter is for publications.
func (g *encoderGroup) wants(p broker.Publication) bool {
	return p.Kind != broker.KindPublication || g.filter.Matches(p.Tags)
}

// wanted returns the publications that a filter matches. It does not change all.
func wanted(all []broker.Publication, f *tagfilter.Filter) []broker.Publication {
	if f == nil {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(p broker.Publication) bool { return !f.Matches(p.Tags) })
}

// encodeDelta adds the frame for subscribers that have the publication before. The caller holds deliveryMu.
func (c *channelState) encodeDelta(g *encoderGroup, e *encoded, p broker.Publication, before *broker.Publication) {
	if g.delta == nil || before == nil || !isBase(p) {
		return
	}
	frame, err := g.delta.EncodeDelta(c.name, *before, p)
	if err == nil && !frame.IsZero() {
		e.delta = c.outgoing(frame, e.subscribers)
	}
}

// isBase reports whether deltas are made of and from a message: those of backends.
func isBase(p broker.Publication) bool { return p.Kind == broker.KindPublication && p.Info == nil }

// takeBase returns the base of a publication's delta, or nil, and leaves none. The caller holds deliveryMu.
func (c *channelState) takeBase(p broker.Publication) (before *broker.Publication) {
	if p.Kind == broker.KindPublication {
		before, c.base = c.base, nil
	}
	return before
}

// keepBase keeps a publication for the delta of the next one, while subscribers ask for deltas, if it went out to all
// of them. The caller holds deliveryMu.
func (c *channelState) keepBase(groups []*encoderGroup, p broker.Publication) {
	asks, all := false, true
	for _, g := range groups {
		if g.delta != nil && g.fanOutSize > 0 {
			asks, all = true, all && !g.skips && g.all.encoded.err == nil
		}
	}
	if asks && all && isBase(p) {
		// A copy, because the data may be a part of a large request.
		c.base = &broker.Publication{Data: bytes.Clone(p.Data), Binary: p.Binary}
	}
}

// sendDeltas sends a publication to subscribers that ask for deltas: to those that have the publication before, the
// delta if there is one. The caller holds deliveryMu and mu.
func (c *channelState) sendDeltas(e *encoded, slots []slot, offset uint64) {
	for _, s := range slots {
		if s.subscriber == nil {
			continue
		}
		gets := offset == 0 || s.subscription.accept(broker.KindPublication, offset, c.endedStream)
		if !gets || e.frame.IsZero() {
			s.subscription.hasBase = false
			continue
		}
		s.subscriber.Send(s.subscription.frameFor(e))
	}
}

// frameFor returns the frame for a subscriber that gets a publication, and notes that it has it.
func (s *Subscription) frameFor(e *encoded) transport.Frame {
	hadBase := s.hasBase
	s.hasBase = true
	if hadBase && !e.delta.IsZero() {
		return e.delta
	}
	return e.frame
}
