package session

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
)

// Refreshed is what a new connection token changes.
type Refreshed struct {
	// ExpiresAt is when the connection expires; zero means never.
	ExpiresAt time.Time
	// Ended are the channels whose subscriptions have ended: the server's that the identity does not name any more, and
	// the client's own that nothing allows any more.
	Ended []string
	// Missing are the channels that the identity names and that the client is not subscribed to.
	Missing []string
}

// Refresh replaces the connection token by a new one of the same user, which holds in full from then on. What the
// connect hook said stays. It ends the subscriptions that neither of them allows. The caller tells the client so, and
// makes those that are Missing, as ServerSide and FromIdentity. Subscriptions by a subscription token and those of the
// server API go on.
//
// It returns ErrInvalidToken, also for another user's token, ErrExpiredToken, auth.ErrUnavailable, or an error that
// wraps broker.ErrUnavailable. After an error nothing has changed.
func (s *Session) Refresh(ctx context.Context, token string) (Refreshed, error) {
	claims, err := s.options.verifyConnection(ctx, token)
	if err != nil {
		return Refreshed{}, err
	}
	s.mu.Lock()
	o := s.overrides
	switch {
	case s.claims == nil, o == nil && claims.User != s.claims.User, o != nil && claims.User != o.tokenUser:
		s.mu.Unlock()
		return Refreshed{}, fmt.Errorf("%w: it is of another user", ErrInvalidToken)
	case o != nil:
		claims = merge(claims, &o.result)
	}
	claims, _ = s.options.withPersonal(claims)
	infoChanged := !bytes.Equal(s.claims.Info, claims.Info)
	s.claims = claims
	ended := s.detachDisallowed()
	changed := s.applySubs(infoChanged)
	r := Refreshed{ExpiresAt: claims.ExpiresAt, Missing: s.missing()}
	s.mu.Unlock()
	for _, sub := range ended {
		r.Ended = append(r.Ended, sub.channel)
		s.release(sub, true)
	}
	slices.Sort(r.Ended)
	// A member that cannot be shown now is shown by its next renewal.
	_ = s.showInfo(ctx, changed)
	return r, nil
}

// applySubs gives the subscriptions that the claims name the info that the claims have for their channels. It returns
// those with which the client is in presence and whose info has changed; all are when infoChanged. The caller holds mu.
func (s *Session) applySubs(infoChanged bool) (present []*hub.Subscription) {
	for i := range s.subscriptions {
		sub := &s.subscriptions[i]
		changed := infoChanged
		if sub.origin == fromIdentity && sub.hub != nil {
			var before []byte
			if sub.grant != nil {
				before = sub.grant.info
			}
			if info := s.claims.Subs[sub.channel].Info; !bytes.Equal(before, info) {
				sub.grant, changed = grantWith(sub.grant, info), true
			}
		}
		if changed && sub.inPresence {
			present = append(present, sub.hub)
		}
	}
	return present
}

// detachDisallowed takes the subscriptions off the list that the client's claims do not allow any more, and returns
// them. The caller holds mu.
func (s *Session) detachDisallowed() (ended []subscription) {
	// From the end, because remove puts the last one in the place of the one that it takes.
	for i := len(s.subscriptions) - 1; i >= 0; i-- {
		if !s.mayKeep(&s.subscriptions[i]) {
			ended = append(ended, s.remove(i))
		}
	}
	return ended
}

// mayKeep reports whether a subscription may go on with the client's claims. It may while the client is making it:
// fillSlot looks at it again. The caller holds mu.
func (s *Session) mayKeep(sub *subscription) bool {
	switch sub.origin {
	case fromIdentity:
		return s.claims.Names(sub.channel)
	case fromClient:
		return sub.hub == nil || s.options.maySubscribe(s.Rule(sub.channel), s.claims, sub.channel, nil)
	case fromToken, fromBackend:
	}
	return true
}

// missing returns the channels that the client's claims name and that are not in the list, sorted. The caller holds mu.
func (s *Session) missing() (channels []string) {
	for _, channel := range slices.Compact(slices.Sorted(slices.Values(s.claims.Channels))) {
		if s.indexOfChannel(channel) < 0 {
			channels = append(channels, channel)
		}
	}
	return channels
}

// SetInfo sets what others see of the client, in presence and with what it publishes, until another token or the
// refresh hook says something else. Empty info changes nothing. It returns an error that wraps broker.ErrUnavailable
// when the presence of some channels does not show it.
func (s *Session) SetInfo(ctx context.Context, info []byte) error {
	if len(info) == 0 {
		return nil
	}
	return s.showInfo(ctx, s.replaceInfo(info))
}

// showInfo shows what others see of the client now in the presence of channels. It returns an error that wraps
// broker.ErrUnavailable when some do not show it.
func (s *Session) showInfo(ctx context.Context, present []*hub.Subscription) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	var failed error
	for _, hubSub := range present {
		err := s.options.Presence.Update(ctx, hubSub.Channel(), s.connectionID(),
			func() (broker.ClientInfo, bool) { return s.infoFor(hubSub) })
		failed = cmp.Or(failed, err)
	}
	return failed
}

// replaceInfo puts info into the client's claims, and returns the subscriptions with which the client is in presence.
func (s *Session) replaceInfo(info []byte) (present []*hub.Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A copy, because other goroutines read the claims without mu.
	claims := auth.Claims{}
	if s.claims != nil {
		claims = *s.claims
	}
	claims.Info = info
	s.claims = &claims
	for _, sub := range s.subscriptions {
		if sub.inPresence {
			present = append(present, sub.hub)
		}
	}
	return present
}

// connectionID is clientID for a caller that does not hold mu.
func (s *Session) connectionID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clientID()
}
