package hub

import (
	"log/slog"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// startOver is for the members when another stream took the place of the one before, from an offset on:
// who counts on the old one is lost, the others go on with the new. The caller has the turn; the topic is
// locked.
func (t *topic) startOver(from uint64) {
	t.each(func(o *Subscription) {
		o.after = min(o.after, from-1)
		o.lose()
	})
}

// skip goes on in the stream without what is missing: members that lack it are lost if they count on it.
// The caller has the turn; the topic is locked.
func (t *topic) skip(to uint64) {
	t.sequence.skip(to)
	t.loseBehind(to)
}

// loseBehind loses members that lack something up to an offset; the topic is locked.
func (t *topic) loseBehind(offset uint64) {
	t.each(func(o *Subscription) {
		if o.after < offset {
			o.lose()
		}
	})
}

// condemn ends the epoch of a stream that went back, everywhere: offsets that clients hold of what was
// lost have come to mean something else. The topic is locked.
func (t *topic) condemn(epoch string) {
	if t.sequence.wentBack == epoch {
		return
	}
	t.sequence.wentBack = epoch
	t.hub.crew.do(func() { t.forget(epoch, 0) })
}

// forget removes the history of an epoch, unless another gateway was faster.
func (t *topic) forget(epoch string, try int) {
	s, err := t.history(t.hub.life, broker.HistoryQuery{})
	if err == nil && s.Top.Epoch == epoch {
		err = t.hub.broker.RemoveHistory(t.hub.life, t.channel)
	}
	switch {
	case err == nil || t.hub.life.Err() != nil:
	case try < mostTries-1:
		t.hub.crew.later(pause(try), func() { t.forget(epoch, try+1) })
	default:
		t.hub.options.Logger.Warn("a channel's stream went back and could not be ended", slog.Any("error", err))
	}
}

// tell says to members that they are lost. It is called without a lock, since they leave.
func (t *topic) tell() {
	told := false
	// A bug met by one must not keep it from the others.
	defer func() {
		if !told {
			t.tell()
		}
	}()
	for o := t.nextLost(); o != nil; o = t.nextLost() {
		o.member.InsufficientState(o)
	}
	told = true
}

// nextLost is a member that is still here to be told.
func (t *topic) nextLost() *Subscription {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.lost) > 0 {
		o := t.lost[0]
		if t.lost = t.lost[1:]; len(t.lost) == 0 {
			t.lost = nil
		}
		if !o.released {
			return o
		}
	}
	return nil
}
