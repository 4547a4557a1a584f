package hub

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// topic is a channel that this gateway has at the broker.
type topic struct {
	hub     *Hub
	channel string
	rule    channel.Rule
	// stream says what a slow client may miss of the channel; nil: nothing.
	stream *transport.DropGroup
	// confirmed is closed when the broker delivers the channel.
	confirmed chan struct{}
	// holds counts who wants the channel, and expiry gives it up when nobody came back. The shard's
	// lock guards both.
	holds  int
	expiry *time.Timer

	// turn is held during a delivery: publications reach every subscriber in one order, and another
	// stream comes between two of them. It is taken before mu, and never held while the broker is asked.
	turn sync.Mutex
	// mu guards what follows. A delivery takes it for some members at a time.
	mu     sync.Mutex
	groups []*group
	// delivering: places must not move. past: what is delivered is of a stream that is over.
	delivering, past bool
	// sequence is where the channel's stream is, in a channel that has one.
	sequence sequence
	// due is when the stream is compared with the broker's next.
	due time.Time
	// lost are members that have to be told so.
	lost []*Subscription

	// reads lets members that come back together share a look at the stream.
	reads singleflight.Group
}

// group is the members of one protocol.
type group struct {
	encoder Encoder
	// seats are empty where somebody left during a delivery.
	seats []seat
	left  int
	// present is how many of them the delivery that is under way goes to.
	present int
}

// seat is where a group keeps a member. A delivery in a channel without history goes along the seats
// and needs no look at the holds.
type seat struct {
	// member is nil for one that is lost.
	member Subscriber
	hold   *Subscription
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
	rule := h.options.Rules.For(name)
	t = &topic{hub: h, channel: name, rule: rule, stream: stream(rule), confirmed: make(chan struct{}), holds: 1}
	s.topics[name] = t
	// Under the lock, so that the broker sees subscribe and unsubscribe in the order of the decisions.
	h.broker.Subscribe(name, func() { close(t.confirmed) })
	h.options.FirstSubscriber(name)
	return t
}

// stream is what a rule says of messages for clients that do not keep up.
func stream(r channel.Rule) *transport.DropGroup {
	switch r.SlowConsumer {
	case channel.DropOldest:
		return &transport.DropGroup{Policy: transport.DropOldest}
	case channel.LatestOnly:
		return &transport.DropGroup{Policy: transport.LatestOnly}
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
	t.expiry = time.AfterFunc(h.options.UnsubscribeDelay, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		// Somebody may have come back while this waited for the lock.
		if t.holds > 0 || s.topics[t.channel] != t {
			return
		}
		delete(s.topics, t.channel)
		h.broker.Unsubscribe(t.channel)
		h.options.LastUnsubscribed(t.channel)
	})
}

// add takes a member in; the topic is locked.
func (t *topic) add(o *Subscription) {
	g := t.group(o.member.Encoder())
	o.place = len(g.seats)
	g.seats = append(g.seats, seat{o.member, o})
}

// remove lets a member go; the topic is locked.
func (t *topic) remove(o *Subscription) {
	g := t.group(o.member.Encoder())
	if t.delivering {
		g.seats[o.place] = seat{}
		g.left++
		return
	}
	last := len(g.seats) - 1
	g.seats[o.place] = g.seats[last]
	g.seats[o.place].hold.place = o.place
	g.seats[last] = seat{}
	g.seats = g.seats[:last]
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

// size is how many members there are; the topic is locked.
func (t *topic) size() (n int) {
	for _, g := range t.groups {
		n += len(g.seats) - g.left
	}
	return n
}

// each calls f for every member; the topic is locked.
func (t *topic) each(f func(o *Subscription)) {
	for _, g := range t.groups {
		for _, s := range g.seats {
			if s.hold != nil {
				f(s.hold)
			}
		}
	}
}

// atOnce is how many members get a publication while the topic is locked.
const atOnce = 256

// deliver is the broker's way to the members: what has its place in the stream goes out. It waits for
// other deliveries at most.
func (t *topic) deliver(p broker.Publication) {
	if t.pass(p) {
		t.tell()
	}
}

// pass takes one message on, if it is its turn. It reports whether members are to be told that they
// are lost.
func (t *topic) pass(p broker.Publication) (tell bool) {
	t.turn.Lock()
	defer t.turn.Unlock()
	groups, now := t.admit(p)
	if !now {
		return false
	}
	return t.transmit(groups, p)
}

// admit says whether a message goes out now, and to whom. The caller has the turn.
func (t *topic) admit(p broker.Publication) (groups []*group, now bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch v := t.sequence.judge(p); v {
	case verdictWait:
		t.sequence.wait(p)
		return nil, false
	case verdictGap:
		t.sequence.wait(p)
		t.beginRepair()
		return nil, false
	default:
		return t.enter(p, v), true
	}
}

// enter records that a message goes out; the topic is locked.
func (t *topic) enter(p broker.Publication, v verdict) []*group {
	switch v {
	case verdictGap:
		t.skip(p.Offset - 1)
	case verdictOther:
		t.sequence.restart(p.Position)
		t.startOver(1)
	case verdictBack:
		t.condemn(p.Epoch)
		t.sequence.restart(p.Position)
		t.startOver(p.Offset)
	case verdictPast, verdictGone:
		// Unless it is not over, after all.
		t.due = time.Now()
	case verdictPass, verdictLate, verdictWait:
	}
	if inStream(p) {
		t.sequence.heard = p.Position
	}
	t.sequence.advance(p)
	if t.past = v == verdictPast; v == verdictGone {
		return nil
	}
	return t.begin()
}

// begin keeps places where they are, and end lets them move. Who comes in between is not part of the
// delivery; the topic is locked.
func (t *topic) begin() []*group {
	t.delivering = true
	for _, g := range t.groups {
		g.present = len(g.seats)
	}
	return t.groups
}

func (t *topic) end() (tell bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delivering = false
	for _, g := range t.groups {
		g.close()
	}
	return len(t.lost) > 0
}

// transmit hands a publication to every member that was there when it began; the caller has the turn.
func (t *topic) transmit(groups []*group, p broker.Publication) (tell bool) {
	// Deferred: a bug met by one member must not keep places where they are for good.
	defer func() { tell = t.end() }()
	for _, g := range groups {
		t.transmitTo(g, p)
	}
	return false
}

func (t *topic) transmitTo(g *group, p broker.Publication) {
	if g.present == 0 {
		return
	}
	frame, err := g.encoder.Encode(t.channel, p)
	if err != nil {
		t.hub.options.Logger.Warn("publication not encoded", slog.String("channel", t.channel), slog.Any("error", err))
		t.withhold(g, p)
		return
	}
	if !frame.IsZero() {
		frame = frame.InDropGroup(t.stream)
		if g.present > atOnce {
			frame = frame.AsBroadcast()
		}
	}
	for i := 0; i < g.present; i += atOnce {
		t.send(frame, g, i, p.Kind, p.Offset)
	}
}

// send delivers to some members, from a place on.
func (t *topic) send(f transport.Frame, g *group, from int, kind broker.Kind, offset uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	seats := g.seats[from:min(from+atOnce, g.present)]
	if kind == broker.KindPublication && offset == 0 && !f.IsZero() {
		for i := range seats {
			if m := seats[i].member; m != nil {
				m.Send(f)
			}
		}
		return
	}
	for _, s := range seats {
		if s.member != nil && s.hold.takes(kind, offset, t.past) && !f.IsZero() {
			s.member.Send(f)
		}
	}
}

// withhold is for a publication that the members of a protocol cannot get.
func (t *topic) withhold(g *group, p broker.Publication) {
	if !inStream(p) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range g.seats[:g.present] {
		if s.hold != nil && !t.past && s.hold.after < p.Offset {
			s.hold.lose()
		}
	}
}

// close moves members together after some left; the topic is locked.
func (g *group) close() {
	if g.left == 0 {
		return
	}
	kept := g.seats[:0]
	for _, s := range g.seats {
		if s.hold != nil {
			s.hold.place = len(kept)
			kept = append(kept, s)
		}
	}
	clear(g.seats[len(kept):])
	g.seats, g.left = kept, 0
}
