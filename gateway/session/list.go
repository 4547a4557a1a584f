package session

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
)

// subscription is a channel that the session has, or is about to have while it has no hold yet.
type subscription struct {
	channel string
	hold    *hub.Subscription
	// terms are there when it has any.
	terms *terms
	// number tells it from an earlier or later subscription to the same channel.
	number uint32
	// present: others see the client in the channel.
	present bool
}

// terms are what holds for one subscription besides the channel's rule. But for expiry they are never
// changed: others may be reading them.
type terms struct {
	// info is what others see of the client in this channel.
	info []byte
	// allow is what its token lets the client do there.
	allow []auth.Permission
	// serverSide: the client has not asked for it.
	serverSide bool
	// until is the end that the backend set, in Unix seconds, which no token moves; 0: none.
	until int64
	// expiry ends it.
	expiry *expiry
}

// place adds a channel without a hold, or says why it cannot.
func (s *Session) place(channel string) (number uint32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return 0, ErrSubscriptionEnded
	case s.find(channel) >= 0:
		return 0, ErrSubscribed
	case len(s.subscriptions) >= s.options.MaxChannels:
		return 0, fmt.Errorf("%w: the limit is %d", ErrTooManyChannel, s.options.MaxChannels)
	}
	if s.subscriptions == nil {
		s.subscriptions = make([]subscription, 0, 1)
	}
	s.last++
	// A copy: the caller's string may share the memory of a whole request.
	s.subscriptions = append(s.subscriptions, subscription{channel: strings.Clone(channel), number: s.last})
	return s.last, nil
}

// leavePlace undoes place, if nobody else has.
func (s *Session) leavePlace(number uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.numbered(number); i >= 0 {
		s.remove(i)
	}
}

// fill gives a place its hold. It reports false when somebody has ended the subscription.
func (s *Session) fill(number uint32, hold *hub.Subscription, t *terms) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.numbered(number)
	if i < 0 {
		return false
	}
	sub := &s.subscriptions[i]
	sub.hold, sub.channel, sub.terms = hold, hold.Channel(), t
	return true
}

// seen is what others are to see of the client in a hold's channel; false: the subscription has ended.
func (s *Session) seen(hold *hub.Subscription) (broker.ClientInfo, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.holding(hold)
	if i < 0 {
		return broker.ClientInfo{}, false
	}
	return s.info(s.subscriptions[i].terms), true
}

// appeared notes that the client is present: whoever ends the subscription from now on lets it leave. It
// reports false when somebody has ended it before.
func (s *Session) appeared(hold *hub.Subscription) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.holding(hold)
	if i < 0 {
		return false
	}
	s.subscriptions[i].present = true
	return true
}

// amend changes the terms of a subscription as a new token says, and returns when it ends then.
func (s *Session) amend(hold *hub.Subscription, ticket *auth.SubscriptionClaims) (expiresAt time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.holding(hold)
	if i < 0 {
		return time.Time{}, false
	}
	amended := terms{}
	if t := s.subscriptions[i].terms; t != nil {
		amended = *t
	}
	amended.allow = ticket.Allow
	if len(ticket.Info) > 0 {
		amended.info = ticket.Info
	}
	s.subscriptions[i].terms = &amended
	return earlier(ticket.ExpiresAt, amended.until), true
}

// held is a channel's hold and terms; nil: the session is not subscribed.
func (s *Session) held(channel string) (*hub.Subscription, *terms) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(channel); i >= 0 {
		return s.subscriptions[i].hold, s.subscriptions[i].terms
	}
	return nil, nil
}

// find is the place of a channel, or -1; the session is locked.
func (s *Session) find(channel string) int {
	return slices.IndexFunc(s.subscriptions, func(sub subscription) bool { return sub.channel == channel })
}

// numbered is the place of a subscription, or -1; the session is locked.
func (s *Session) numbered(number uint32) int {
	return slices.IndexFunc(s.subscriptions, func(sub subscription) bool { return sub.number == number })
}

// holding is the place of a hold's subscription, or -1; the session is locked.
func (s *Session) holding(hold *hub.Subscription) int {
	return slices.IndexFunc(s.subscriptions, func(sub subscription) bool { return sub.hold == hold })
}

// remove takes a place out; the session is locked.
func (s *Session) remove(i int) subscription {
	sub := s.subscriptions[i]
	last := len(s.subscriptions) - 1
	s.subscriptions[i] = s.subscriptions[last]
	s.subscriptions[last] = subscription{}
	s.subscriptions = s.subscriptions[:last]
	return sub
}
