package session

import (
	"time"

	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
)

// ExpiryGrace is how long a client has to bring a new token after its old one expired. SDKs start to get one at the
// expiry.
const ExpiryGrace = 25 * time.Second

// Unsubscribe ends the subscription to a channel, and reports whether there was one.
func (s *Session) Unsubscribe(channel string) bool {
	_, ended := s.end(func() int { return s.indexOfChannel(channel) }, true)
	return ended
}

// EndInsufficient ends a subscription whose client misses something of the channel's stream. ended is false when the
// subscription had ended before. serverSide reports that the server made the subscription, so that the client would not
// make it again by itself.
func (s *Session) EndInsufficient(hubSub *hub.Subscription) (serverSide, ended bool) {
	// The client will be back in a moment, so that its presence outlasts the grace period.
	sub, ended := s.end(func() int { return s.indexOfHub(hubSub) }, false)
	return sub.origin.serverSide(), ended
}

// abort undoes a subscription that did not begin, except for the client's presence. It reports false when the
// subscription has ended already.
func (s *Session) abort(hubSub *hub.Subscription) bool {
	sub, aborted := s.detach(func() int { return s.indexOfHub(hubSub) })
	if aborted {
		sub.inPresence = false
		s.release(sub, true)
	}
	return aborted
}

// end takes a subscription off the list and releases it. index returns its index or -1 and is called with mu held.
// explicitly reports that the client or the server asked for it, so that the client leaves presence at once.
func (s *Session) end(index func() int, explicitly bool) (sub subscription, ended bool) {
	if sub, ended = s.detach(index); ended {
		s.release(sub, explicitly)
	}
	return sub, ended
}

// detach takes a subscription off the list. index returns its index or -1 and is called with mu held.
func (s *Session) detach(index func() int) (sub subscription, detached bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := index()
	if i < 0 {
		return sub, false
	}
	return s.remove(i), true
}

// release frees what a subscription that is off the list held.
func (s *Session) release(sub subscription, explicitly bool) {
	s.mu.Lock()
	info := s.clientInfo(sub.grant)
	sub.stopExpiry()
	s.mu.Unlock()
	if sub.hub == nil {
		// The goroutine that makes the subscription finds that its slot is gone.
		return
	}
	sub.hub.Release()
	if sub.inPresence {
		s.options.Presence.Leave(sub.channel, info, explicitly)
	}
}

// expiry ends a subscription at a time. Renewing a subscription replaces its expiry.
type expiry struct{ timer *time.Timer }

// stopExpiry makes a subscription not end by itself. The caller holds mu.
func (s *subscription) stopExpiry() {
	if s.grant != nil {
		s.grant.expiry.stop()
	}
}

func (e *expiry) stop() {
	if e != nil {
		e.timer.Stop()
	}
}

// ending says when a subscription ends, and how. It lives as long as the subscription, so it must not hold what came in
// the client's frame.
type ending struct {
	// at is zero for a subscription that does not end by itself.
	at time.Time
	// renewable, protocol, expired and disconnected are those of SubscribeRequest.
	renewable    bool
	protocol     string
	expired      func(channel string)
	disconnected func(*hooks.Disconnect)
}

// ending returns when the subscription ends, and how.
func (r *SubscribeRequest) ending() ending {
	return ending{r.ExpiresAt, r.Renewable, r.Protocol, r.Expired, r.Disconnected}
}

// scheduleExpiry makes a subscription end at end.at unless it is renewed before; zero takes back an earlier expiry. It
// reports false when the subscription has ended already.
func (s *Session) scheduleExpiry(hubSub *hub.Subscription, end ending) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.indexOfHub(hubSub)
	if i < 0 {
		return false
	}
	g := s.subscriptions[i].grant
	if g == nil && end.at.IsZero() {
		return true
	}
	if g == nil {
		g = &grant{}
		s.subscriptions[i].grant = g
	}
	g.expiry.stop()
	g.expiry = nil
	if end.at.IsZero() {
		return true
	}
	left, over := time.Until(end.at), s.expire
	switch {
	case s.options.Hooks.HasSubRefresh():
		over = s.refreshSubscription
	case end.renewable:
		left += ExpiryGrace
	}
	e := &expiry{}
	g.expiry = e
	e.timer = time.AfterFunc(left, func() { over(hubSub, e, end) })
	return true
}

// expire ends a subscription, unless it was renewed while the timer's function waited for mu.
func (s *Session) expire(hubSub *hub.Subscription, e *expiry, end ending) {
	_, ended := s.end(func() int { return s.indexOfExpiry(hubSub, e) }, true)
	if ended && end.expired != nil {
		end.expired(hubSub.Channel())
	}
}

// indexOfExpiry returns the index of a subscription that still expires as e says, or -1. The caller holds mu.
func (s *Session) indexOfExpiry(hubSub *hub.Subscription, e *expiry) int {
	i := s.indexOfHub(hubSub)
	if i >= 0 && s.subscriptions[i].grant != nil && s.subscriptions[i].grant.expiry == e {
		return i
	}
	return -1
}
