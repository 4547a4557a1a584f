package hub

import (
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// acquire adds a reference to a channel's state. The first reference makes the state and subscribes at the broker.
func (h *Hub) acquire(name string) *channelState {
	s := h.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.references++
	if c := s.channels[name]; c != nil {
		c.references++
		c.cancelUnsubscribe()
		return c
	}
	// A copy: the caller's string may share the memory of a whole request.
	name = strings.Clone(name)
	rule := h.options.Rules.For(name)
	c := &channelState{
		hub:        h,
		name:       name,
		rule:       rule,
		dropGroup:  dropGroup(rule),
		confirmed:  make(chan struct{}),
		references: 1,
	}
	s.channels[name] = c
	// With the lock, so that the broker sees Subscribe and Unsubscribe in the order of the decisions.
	h.broker.Subscribe(name, func() { close(c.confirmed) })
	h.options.FirstSubscriber(name)
	return c
}

// release removes a reference. UnsubscribeDelay after the last one is removed, the hub gives the channel up.
func (h *Hub) release(c *channelState) {
	s := h.shard(c.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.references--
	if c.references--; c.references > 0 {
		return
	}
	c.unsubscribeTimer = time.AfterFunc(h.options.UnsubscribeDelay, func() { h.unsubscribe(c) })
}

// unsubscribe gives a channel up, unless it has been acquired again.
func (h *Hub) unsubscribe(c *channelState) {
	s := h.shard(c.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	// The channel may have been acquired while the timer's goroutine waited for the lock.
	if c.references > 0 || s.channels[c.name] != c {
		return
	}
	delete(s.channels, c.name)
	h.broker.Unsubscribe(c.name)
	h.options.LastUnsubscribed(c.name)
}

// cancelUnsubscribe stops the timer of release. The caller holds the shard's mu.
func (c *channelState) cancelUnsubscribe() {
	if c.unsubscribeTimer != nil {
		c.unsubscribeTimer.Stop()
		c.unsubscribeTimer = nil
	}
}

// dropGroup returns what a slow client of a channel may miss, or nil when it may miss nothing.
func dropGroup(r channel.Rule) *transport.DropGroup {
	switch r.SlowConsumer {
	case channel.DropOldest:
		return &transport.DropGroup{Policy: transport.DropOldest}
	case channel.LatestOnly:
		return &transport.DropGroup{Policy: transport.LatestOnly}
	default:
		return nil
	}
}
