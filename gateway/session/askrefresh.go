package session

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
)

// The backend is asked again between minRefreshRetry and maxRefreshRetry after it did not answer whether a client or a
// subscription may go on. Until it answers, they go on.
const (
	minRefreshRetry = 30 * time.Second
	maxRefreshRetry = 60 * time.Second
)

// AskRefresh asks the refresh hook whether the client may stay, and returns when it has to be asked again; zero means
// never. A backend that does not answer is asked again later. AskRefresh returns ErrExpiredToken when the client may
// not stay, the hook's *hooks.Disconnect, or ErrSubscriptionEnded for a session that is closed.
func (s *Session) AskRefresh(ctx context.Context, protocol string) (again time.Time, err error) {
	if s.isClosed() {
		return time.Time{}, ErrSubscriptionEnded
	}
	answer, err := s.options.Hooks.Refresh(ctx, hooks.RefreshRequest{Client: s.hookClient(protocol)})
	again, err = nextRefresh(answer, err)
	if err != nil || answer == nil {
		return again, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claims != nil {
		refreshed := *s.claims
		refreshed.ExpiresAt = again
		if len(answer.Info) > 0 {
			refreshed.Info = answer.Info
		}
		if len(answer.Meta) > 0 {
			refreshed.Meta = answer.Meta
		}
		s.claims = &refreshed
	}
	return again, nil
}

// isClosed reports whether Close was called.
func (s *Session) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// nextRefresh returns when a backend has to be asked again that has answered a refresh with r or err; zero means never.
// It returns ErrExpiredToken or a *hooks.Disconnect when what it was asked for ends.
func nextRefresh(r *hooks.RefreshResult, err error) (time.Time, error) {
	if _, disconnects := errors.AsType[*hooks.Disconnect](err); disconnects {
		return time.Time{}, err
	}
	refusal, refused := errors.AsType[*hooks.Error](err)
	switch {
	case refused && !refusal.Temporary:
		return time.Time{}, ErrExpiredToken
	case err != nil, len(r.Info) > auth.MaxInfo, len(r.Meta) > auth.MaxInfo:
		later := minRefreshRetry + rand.N(maxRefreshRetry-minRefreshRetry)
		return time.Now().Add(later), nil //nolint:nilerr // the backend is asked again
	case r.Expired, r.ExpireAt != 0 && !time.Unix(r.ExpireAt, 0).After(time.Now()):
		return time.Time{}, ErrExpiredToken
	case r.ExpireAt == 0:
		return time.Time{}, nil
	}
	return time.Unix(r.ExpireAt, 0), nil
}

// refreshSubscription asks the backend whether a subscription may go on whose time is over, unless it was renewed
// meanwhile.
func (s *Session) refreshSubscription(hubSub *hub.Subscription, e *expiry, end ending) {
	if !s.expiresAs(hubSub, e) {
		return
	}
	answer, err := s.options.Hooks.SubRefresh(context.Background(),
		hooks.SubRefreshRequest{Client: s.hookClient(end.protocol), Channel: hubSub.Channel()})
	again, err := nextRefresh(answer, err)
	disconnect, disconnects := errors.AsType[*hooks.Disconnect](err)
	switch {
	case disconnects && end.disconnected != nil:
		if s.expiresAs(hubSub, e) {
			end.disconnected(disconnect)
		}
	case err != nil:
		s.expire(hubSub, e, end)
	case s.extend(hubSub, e, answer, again):
		end.at = again
		s.scheduleExpiry(hubSub, end)
	}
}

// expiresAs reports whether a subscription still expires as e says.
func (s *Session) expiresAs(hubSub *hub.Subscription, e *expiry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.indexOfExpiry(hubSub, e) >= 0
}

// extend notes what the backend said about a subscription that goes on until a time; answer is nil when it did not
// answer. It reports false when the subscription does not expire as e says any more.
func (s *Session) extend(hubSub *hub.Subscription, e *expiry, answer *hooks.RefreshResult, until time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.indexOfExpiry(hubSub, e)
	if i < 0 {
		return false
	}
	if answer == nil {
		return true
	}
	extended := *s.subscriptions[i].grant
	extended.until = 0
	if !until.IsZero() {
		extended.until = until.Unix()
	}
	if len(answer.Info) > 0 {
		extended.info = answer.Info
	}
	s.subscriptions[i].grant = &extended
	return true
}
