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

// subscription is an entry of the session's list: a subscription, or the slot of one that is being made.
type subscription struct {
	channel string
	// hub is the subscription at the hub; nil while only the slot is reserved.
	hub *hub.Subscription
	// grant is nil unless the subscription has one.
	grant *grant
	// number tells this subscription from earlier and later ones to the same channel.
	number uint32
	origin origin
	// inPresence reports that the client is in the channel's presence.
	inPresence bool
	// filtered reports that it has a filter.
	filtered bool
}

// maxFilters is the maximum number of subscriptions with a filter of one session. No budget counts their memory.
const maxFilters = 32

// origin is what made a subscription, which decides whether a new connection token may end it.
type origin uint8

const (
	// fromClient is the client by itself: the channel's rule or the connection's token allows it.
	fromClient origin = iota
	// fromToken is the client with a subscription token.
	fromToken
	// fromBackend is the server API.
	fromBackend
	// fromIdentity is the gateway, because the connection's token or the connect hook names the channel.
	fromIdentity
)

// serverSide reports that the server made the subscription, and not the client.
func (o origin) serverSide() bool { return o >= fromBackend }

// grant is what one subscription has besides the channel's rule. Except for expiry its fields never change, because
// other goroutines may read them without mu.
type grant struct {
	// info is JSON that others see about the client in this channel.
	info []byte
	// allow is what the subscription token lets the client do in this channel.
	allow []auth.Permission
	// until is the end that the subscribe hook set, in Unix seconds, and that no token moves; 0 means none.
	until int64
	// expiry is nil unless the subscription expires.
	expiry *expiry
}

// grantWith returns a grant, which may be nil, with other info; nil when nothing is granted.
func grantWith(g *grant, info []byte) *grant {
	if g == nil && len(info) == 0 {
		return nil
	}
	with := grant{}
	if g != nil {
		with = *g
	}
	with.info = info
	return &with
}

// reserveSlot adds a channel to the list and returns the number of its slot. It returns ErrSubscriptionEnded for a
// closed session and for a channel that the client's identity does not name any more, ErrSubscribed for a channel that
// is in the list, ErrTooManyChannels for a full list, and ErrTooManyFilters.
func (s *Session) reserveSlot(channel string, o origin, filtered bool) (number uint32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed, o == fromIdentity && !s.claims.Names(channel):
		return 0, ErrSubscriptionEnded
	case s.indexOfChannel(channel) >= 0:
		return 0, ErrSubscribed
	case len(s.subscriptions) >= s.options.MaxChannels:
		return 0, fmt.Errorf("%w: the limit is %d", ErrTooManyChannels, s.options.MaxChannels)
	case filtered && s.filters() >= maxFilters:
		return 0, fmt.Errorf("%w: the limit is %d", ErrTooManyFilters, maxFilters)
	}
	if s.subscriptions == nil {
		s.subscriptions = make([]subscription, 0, 1)
	}
	s.lastNumber++
	// A copy, because the caller's string may share the memory of a whole request.
	sub := subscription{channel: strings.Clone(channel), number: s.lastNumber, origin: o, filtered: filtered}
	s.subscriptions = append(s.subscriptions, sub)
	return s.lastNumber, nil
}

// filters returns the number of subscriptions with a filter. The caller holds mu.
func (s *Session) filters() (n int) {
	for i := range s.subscriptions {
		if s.subscriptions[i].filtered {
			n++
		}
	}
	return n
}

// releaseSlot undoes reserveSlot, unless the slot is gone already.
func (s *Session) releaseSlot(number uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.indexOfNumber(number); i >= 0 {
		s.remove(i)
	}
}

// fillSlot puts the hub's subscription and what authorise found into a slot. It returns ErrSubscriptionEnded when the
// slot is gone, because the subscription was ended meanwhile, and ErrNotAllowed when the claims that allowed it were
// replaced meanwhile by some that do not.
func (s *Session) fillSlot(number uint32, hubSub *hub.Subscription, a authorisation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.indexOfNumber(number)
	if i < 0 {
		return ErrSubscriptionEnded
	}
	sub := &s.subscriptions[i]
	sub.hub, sub.channel, sub.grant, sub.origin = hubSub, hubSub.Channel(), a.grant, a.origin
	if a.origin == fromIdentity {
		sub.grant = grantWith(a.grant, s.claims.Subs[sub.channel].Info)
	}
	if s.claims != a.claims && !s.mayKeep(sub) {
		s.remove(i)
		return ErrNotAllowed
	}
	return nil
}

// infoFor returns what others see about the client in the channel of a subscription, and false when the subscription
// has ended.
func (s *Session) infoFor(hubSub *hub.Subscription) (broker.ClientInfo, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.indexOfHub(hubSub)
	if i < 0 {
		return broker.ClientInfo{}, false
	}
	return s.clientInfo(s.subscriptions[i].grant), true
}

// markInPresence notes that the client is in the channel's presence, so that the end of the subscription takes it out.
// It reports false when the subscription has ended already.
func (s *Session) markInPresence(hubSub *hub.Subscription) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.indexOfHub(hubSub)
	if i < 0 {
		return false
	}
	s.subscriptions[i].inPresence = true
	return true
}

// updateGrant applies a new subscription token and returns when the subscription expires now. ok is false when the
// subscription has ended.
func (s *Session) updateGrant(
	hubSub *hub.Subscription, token *auth.SubscriptionClaims,
) (expiresAt time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.indexOfHub(hubSub)
	if i < 0 {
		return time.Time{}, false
	}
	updated := grant{}
	if g := s.subscriptions[i].grant; g != nil {
		updated = *g
	}
	updated.allow = token.Allow
	if len(token.Info) > 0 {
		updated.info = token.Info
	}
	s.subscriptions[i].grant = &updated
	if s.subscriptions[i].origin == fromClient {
		s.subscriptions[i].origin = fromToken
	}
	return earlier(token.ExpiresAt, updated.until), true
}

// subscriptionTo returns the hub's subscription to a channel and its grant; both are nil when there is none.
func (s *Session) subscriptionTo(channel string) (*hub.Subscription, *grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.indexOfChannel(channel); i >= 0 {
		return s.subscriptions[i].hub, s.subscriptions[i].grant
	}
	return nil, nil
}

// indexOfChannel returns the index of the subscription to a channel, or -1. The caller holds mu.
func (s *Session) indexOfChannel(channel string) int {
	return slices.IndexFunc(s.subscriptions, func(sub subscription) bool { return sub.channel == channel })
}

// indexOfNumber returns the index of the subscription with a number, or -1. The caller holds mu.
func (s *Session) indexOfNumber(number uint32) int {
	return slices.IndexFunc(s.subscriptions, func(sub subscription) bool { return sub.number == number })
}

// indexOfHub returns the index of the subscription that has hubSub, or -1. The caller holds mu.
func (s *Session) indexOfHub(hubSub *hub.Subscription) int {
	return slices.IndexFunc(s.subscriptions, func(sub subscription) bool { return sub.hub == hubSub })
}

// remove takes the subscription at an index off the list. The caller holds mu.
func (s *Session) remove(i int) subscription {
	sub := s.subscriptions[i]
	last := len(s.subscriptions) - 1
	s.subscriptions[i] = s.subscriptions[last]
	s.subscriptions[last] = subscription{}
	s.subscriptions = s.subscriptions[:last]
	return sub
}
