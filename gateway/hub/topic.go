package hub

import "time"

// topic is a channel that this gateway has at the broker. Its shard's lock guards it.
type topic struct {
	// confirmed is closed when the broker delivers the channel.
	confirmed chan struct{}
	// holds counts who wants the channel, members are those it is delivered to.
	holds   int
	members map[Encoder]map[Subscriber]struct{}
	// expiry gives the channel up when nobody came back.
	expiry *time.Timer
}

// want adds one to a topic's holds, and makes the topic for the first.
func (h *Hub) want(channel string) *topic {
	s := h.shard(channel)
	s.mu.Lock()
	t := s.topics[channel]
	if t != nil {
		t.holds++
		if t.expiry != nil {
			t.expiry.Stop()
			t.expiry = nil
		}
		s.mu.Unlock()
		return t
	}
	t = &topic{confirmed: make(chan struct{}), holds: 1, members: map[Encoder]map[Subscriber]struct{}{}}
	s.topics[channel] = t
	// Under the lock, so that the broker sees subscribe and unsubscribe in the order of the decisions.
	h.broker.Subscribe(channel, func() { close(t.confirmed) })
	s.mu.Unlock()
	return t
}

// unwant takes one from a topic's holds, and lets the topic expire after the last; the shard is
// locked.
func (h *Hub) unwant(s *shard, channel string, t *topic) {
	if t.holds--; t.holds > 0 {
		return
	}
	t.expiry = time.AfterFunc(h.options.Linger, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		// Somebody may have come back while this waited for the lock.
		if t.holds > 0 || s.topics[channel] != t {
			return
		}
		delete(s.topics, channel)
		h.broker.Unsubscribe(channel)
	})
}

func (t *topic) add(m Subscriber) {
	e := m.Encoder()
	if t.members[e] == nil {
		t.members[e] = map[Subscriber]struct{}{}
	}
	t.members[e][m] = struct{}{}
}

func (t *topic) remove(m Subscriber) {
	e := m.Encoder()
	delete(t.members[e], m)
	if len(t.members[e]) == 0 {
		delete(t.members, e)
	}
}
