package hub

import (
	"log/slog"
	"math"
	"math/rand/v2"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/recovery"
)

// Pub/Sub may lose messages without a word, the last one of a channel too. So the position of every
// stream that members count on is compared with the broker's now and then (check.go), and whenever the
// broker was away; what is missing is read from the stream. Members are lost only when it is not there.
const (
	// mostTries is how often something is asked that fails, and firstPause how long the first time to
	// the next.
	mostTries  = 5
	firstPause = 200 * time.Millisecond
)

// pause doubles with every try. It is spread, so that streams that failed together do not come back
// together.
func pause(try int) time.Duration {
	most := firstPause << try
	return most/2 + rand.N(most)
}

// Resumed says that the broker delivers a channel again after it was away: something may be missing.
func (h *Hub) Resumed(channel string) {
	if t := h.topic(channel); t != nil {
		t.suspect()
	}
}

// suspect begins a repair, or another one after that which is under way.
func (t *topic) suspect() {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.sequence.repairing:
		t.sequence.unsettled = true
	case t.sequence.last.Epoch != "" && (t.counted() || t.sequence.joining > 0):
		t.beginRepair()
	}
}

// beginRepair makes messages wait until the stream was read; the topic is locked.
func (t *topic) beginRepair() {
	t.sequence.repairing = true
	t.hub.crew.do(func() { t.repair(0) })
}

// repair reads what is missing of a stream and delivers it, ahead of what waits. One at a time is under
// way for a topic: the sequence says so.
func (t *topic) repair(try int) {
	defer t.failed()
	m := t.mark()
	s, err := t.history(t.hub.life, broker.HistoryQuery{Since: &m.last, Limit: mostRecovered})
	switch {
	case t.hub.life.Err() != nil:
	case err == nil:
		t.mend(m, s)
	case try < mostTries-1:
		t.hub.crew.later(pause(try), func() { t.repair(try + 1) })
	default:
		t.hub.options.Logger.Warn("a channel's stream could not be read: who misses something has to come back", slog.Any("error", err))
		t.hub.options.GapUnrepaired()
		t.giveUp()
		t.finish(true)
	}
}

// mend delivers what was read and then what waits.
func (t *topic) mend(m mark, s broker.Stream) {
	same := t.replace(m, s.Top, true) == findingSame
	whole := same && t.supply(s)
	if !whole {
		t.hub.options.GapUnrepaired()
	}
	t.finish(!same)
}

// finish delivers what waits, and begins again when more is missing. insist: what is missing cannot be
// read.
func (t *topic) finish(insist bool) {
	done := t.drain(insist)
	t.tell()
	if !done {
		t.hub.crew.do(func() { t.repair(0) })
	}
}

// replace puts a stream that was read in the place of the one before, if it is another one. During a
// repair only the repair does that, since what waits is older than the read, and must go out first.
func (t *topic) replace(m mark, top broker.Position, repair bool) finding {
	t.turn.Lock()
	defer t.turn.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.sequence
	f := s.compare(m, top)
	if f == findingSame || f == findingUnsure {
		return f
	}
	if s.repairing && !repair {
		s.unsettled = true
		return findingUnsure
	}
	if f == findingOther {
		s.replace(top)
		t.startOver(1)
		return f
	}
	t.condemn(top.Epoch)
	s.restart(top)
	t.startOver(top.Offset + 1)
	return f
}

// supply delivers what was read. It is not whole when something up to the top is gone.
func (t *topic) supply(s broker.Stream) (whole bool) {
	whole = true
	for _, p := range s.Publications {
		whole = t.supplyOne(p) && whole
	}
	return t.reach(s.Top) && whole
}

// supplyOne delivers one publication that was read. It is not next when something before it is gone.
// Messages need not wait for all of them: they are put with what waits.
func (t *topic) supplyOne(p broker.Publication) (next bool) {
	t.turn.Lock()
	defer t.turn.Unlock()
	groups, next := t.admitRead(p)
	t.transmit(groups, p)
	return next
}

func (t *topic) admitRead(p broker.Publication) (groups []*group, next bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.sequence
	next = p.Offset == s.last.Offset+1
	if !next {
		t.skip(p.Offset - 1)
	}
	s.advance(p)
	t.past = false
	return t.begin(), next
}

// reach goes on at the top of what was read. It reports false when something up to it is gone.
func (t *topic) reach(top broker.Position) bool {
	t.turn.Lock()
	defer t.turn.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sequence.last.Offset >= top.Offset {
		return true
	}
	t.skip(top.Offset)
	return false
}

// giveUp is for a stream that could not be read. What waits shows what is missing before it; without
// that nobody knows.
func (t *topic) giveUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, waits := t.sequence.waiting.first(); !waits {
		t.loseBehind(math.MaxUint64)
	}
}

// drain delivers what waits, and reports whether that was all.
func (t *topic) drain(insist bool) (done bool) {
	for {
		if more, done := t.drainOne(insist); !more {
			return done
		}
	}
}

// drainOne delivers the first of what waits. New messages are put behind it until there is none.
func (t *topic) drainOne(insist bool) (more, done bool) {
	t.turn.Lock()
	defer t.turn.Unlock()
	p, groups, more, done := t.admitWaiting(insist)
	if more {
		t.transmit(groups, p)
	}
	return more, done
}

func (t *topic) admitWaiting(insist bool) (p broker.Publication, groups []*group, more, done bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.sequence
	p, waits := s.waiting.first()
	if !waits {
		// What somebody read of beyond this is on its way, or lost, or the stream went back meanwhile:
		// one more read tells.
		done = !s.unsettled && s.last.Offset >= s.known
		s.repairing, s.unsettled = !done, false
		return p, nil, false, done
	}
	v := s.place(p)
	if v == verdictGap && !insist {
		s.known = max(s.known, p.Offset)
		return p, nil, false, false
	}
	s.waiting.drop()
	return p, t.enter(p, v), true, false
}

// failed keeps a bug met by one repair from ending the gateway, or the channel.
func (t *topic) failed() {
	p := recover()
	if p == nil {
		return
	}
	t.hub.options.Logger.Error("repair of a channel's stream failed", recovery.Attr(p))
	t.mu.Lock()
	t.sequence.repairing, t.sequence.unsettled, t.sequence.waiting = false, false, backlog{}
	t.loseBehind(math.MaxUint64)
	t.mu.Unlock()
	t.tell()
}
