package session

import (
	"time"

	"github.com/wsfleet/wsfleet/gateway/hub"
)

// ExpiryGrace is how long a client has to bring a new token after the end of its old one: SDKs begin to
// get one when it is over.
const ExpiryGrace = 25 * time.Second

// Unsubscribe ends a subscription, and reports whether there was one.
func (s *Session) Unsubscribe(channel string) bool {
	_, ended := s.end(func() int { return s.find(channel) }, true)
	return ended
}

// Lose ends the subscription of a hold whose client misses something. It reports false when that is not
// the channel's any more. serverSide: the client did not ask for it, and would not ask again.
func (s *Session) Lose(hold *hub.Subscription) (serverSide, lost bool) {
	// Its client will be back in a moment: nobody needs to see it leave.
	sub, lost := s.end(func() int { return s.holding(hold) }, false)
	return sub.terms != nil && sub.terms.serverSide, lost
}

// drop undoes a subscription that did not come about, but for the client's presence. It reports false
// when that has ended already.
func (s *Session) drop(hold *hub.Subscription) bool {
	sub, dropped := s.take(func() int { return s.holding(hold) })
	if dropped {
		sub.present = false
		s.release(sub, true)
	}
	return dropped
}

// end takes the subscription of a place out; where is called with the session locked. said: the client,
// or somebody for it, wanted that.
func (s *Session) end(where func() int, said bool) (sub subscription, ended bool) {
	if sub, ended = s.take(where); ended {
		s.release(sub, said)
	}
	return sub, ended
}

func (s *Session) take(where func() int) (sub subscription, taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := where()
	if i < 0 {
		return sub, false
	}
	return s.remove(i), true
}

// release gives back what a subscription held.
func (s *Session) release(sub subscription, said bool) {
	s.mu.Lock()
	info := s.info(sub.terms)
	if sub.terms != nil {
		sub.terms.expiry.stop()
	}
	s.mu.Unlock()
	if sub.hold == nil {
		// Whoever waits for it finds that it is not wanted any more.
		return
	}
	sub.hold.Release()
	if sub.present {
		s.options.Presence.Leave(sub.channel, info, said)
	}
}

// expiry is a subscription's end with a time.
type expiry struct{ timer *time.Timer }

func (e *expiry) stop() {
	if e != nil {
		e.timer.Stop()
	}
}

// expireAt ends a subscription when its time is over, unless it is renewed. It reports false when the
// subscription has ended already.
func (s *Session) expireAt(hold *hub.Subscription, w Subscription) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.holding(hold)
	if i < 0 {
		return false
	}
	t := s.subscriptions[i].terms
	if t == nil && w.ExpiresAt.IsZero() {
		return true
	}
	if t == nil {
		t = &terms{}
		s.subscriptions[i].terms = t
	}
	t.expiry.stop()
	t.expiry = nil
	if w.ExpiresAt.IsZero() {
		return true
	}
	left := time.Until(w.ExpiresAt)
	if w.Renewable {
		left += ExpiryGrace
	}
	e := &expiry{}
	t.expiry = e
	e.timer = time.AfterFunc(left, func() { s.expire(hold, e, w.Expired) })
	return true
}

// expire ends a subscription, unless it was renewed while the timer's function waited for the lock.
func (s *Session) expire(hold *hub.Subscription, e *expiry, expired func(channel string)) {
	_, ended := s.end(func() int {
		if i := s.holding(hold); i >= 0 && s.subscriptions[i].terms != nil && s.subscriptions[i].terms.expiry == e {
			return i
		}
		return -1
	}, true)
	if ended && expired != nil {
		expired(hold.Channel())
	}
}
