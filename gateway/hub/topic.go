package hub

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/channel"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// topic is a channel that this gateway has at the broker.
type topic struct {
	hub     *Hub
	channel string
	// stream says what a slow client may miss of the channel; nil: nothing.
	stream *transport.Stream
	// confirmed is closed when the broker delivers the channel.
	confirmed chan struct{}
	// holds counts who wants the channel, and expiry gives it up when nobody came back. The shard's
	// lock guards both.
	holds  int
	expiry *time.Timer

	// turn is held during a delivery: publications reach every subscriber in one order.
	turn sync.Mutex
	// mu guards the rest. A delivery takes it for some members at a time.
	mu     sync.Mutex
	groups []*group
	// delivering: places must not move.
	delivering bool
}

// group is the members of one protocol.
type group struct {
	encoder Encoder
	// members holds nil where one left during a delivery.
	members []*Hold
	left    int
}

// want adds one to a topic's holds, and makes the topic for the first.
func (h *Hub) want(name string) *topic {
	s := h.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[name]
	if t != nil {
		t.holds++
		if t.expiry != nil {
			t.expiry.Stop()
			t.expiry = nil
		}
		return t
	}
	// A copy: the caller's string may share the memory of a whole request.
	name = strings.Clone(name)
	t = &topic{hub: h, channel: name, stream: h.stream(name), confirmed: make(chan struct{}), holds: 1}
	s.topics[name] = t
	// Under the lock, so that the broker sees subscribe and unsubscribe in the order of the decisions.
	h.broker.Subscribe(name, func() { close(t.confirmed) })
	return t
}

// stream is what the rules say of a channel's messages.
func (h *Hub) stream(name string) *transport.Stream {
	switch h.options.Rules.For(name).SlowConsumer {
	case channel.DropOldest:
		return &transport.Stream{Policy: transport.DropOldest}
	case channel.LatestOnly:
		return &transport.Stream{Policy: transport.LatestOnly}
	default:
		return nil
	}
}

// unwant takes one from a topic's holds, and lets the topic expire after the last.
func (h *Hub) unwant(t *topic) {
	s := h.shard(t.channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.holds--; t.holds > 0 {
		return
	}
	t.expiry = time.AfterFunc(h.options.Linger, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		// Somebody may have come back while this waited for the lock.
		if t.holds > 0 || s.topics[t.channel] != t {
			return
		}
		delete(s.topics, t.channel)
		h.broker.Unsubscribe(t.channel)
	})
}

// add takes a member in; the topic is locked.
func (t *topic) add(o *Hold) {
	g := t.group(o.member.Encoder())
	o.place = len(g.members)
	g.members = append(g.members, o)
}

// remove lets a member go; the topic is locked.
func (t *topic) remove(o *Hold) {
	g := t.group(o.member.Encoder())
	if t.delivering {
		g.members[o.place] = nil
		g.left++
		return
	}
	last := len(g.members) - 1
	g.members[o.place] = g.members[last]
	g.members[o.place].place = o.place
	g.members[last] = nil
	g.members = g.members[:last]
}

func (t *topic) group(e Encoder) *group {
	for _, g := range t.groups {
		if g.encoder == e {
			return g
		}
	}
	g := &group{encoder: e}
	t.groups = append(t.groups, g)
	return g
}

// atOnce is how many members get a publication while the topic is locked.
const atOnce = 256

// deliver hands a publication to every member that is there when it begins.
func (t *topic) deliver(p broker.Publication) {
	t.turn.Lock()
	defer t.turn.Unlock()
	groups := t.begin()
	defer t.end()
	for _, g := range groups {
		t.deliverTo(g, p)
	}
}

// begin keeps places where they are, and end lets them move.
func (t *topic) begin() []*group {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delivering = true
	return t.groups
}

func (t *topic) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delivering = false
	for _, g := range t.groups {
		g.close()
	}
}

func (t *topic) deliverTo(g *group, p broker.Publication) {
	n := t.count(g)
	if n == 0 {
		return
	}
	frame, err := g.encoder.Encode(t.channel, p)
	if err != nil {
		t.hub.options.Logger.Warn("publication not encoded", slog.String("channel", t.channel), slog.Any("error", err))
		return
	}
	if frame = frame.Of(t.stream); n > atOnce {
		frame = frame.InBulk()
	}
	for i := 0; i < n; i += atOnce {
		t.send(frame, g, i, min(i+atOnce, n))
	}
}

func (t *topic) count(g *group) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(g.members)
}

// send delivers to the members from one place to another.
func (t *topic) send(f transport.Frame, g *group, from, to int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range g.members[from:to] {
		if o != nil {
			o.member.Send(f)
		}
	}
}

// close moves members together after some left; the topic is locked.
func (g *group) close() {
	if g.left == 0 {
		return
	}
	kept := g.members[:0]
	for _, o := range g.members {
		if o != nil {
			o.place = len(kept)
			kept = append(kept, o)
		}
	}
	clear(g.members[len(kept):])
	g.members, g.left = kept, 0
}
