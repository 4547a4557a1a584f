package auth

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

const (
	// refreshEvery is for how long a key may be unknown that no token names yet.
	refreshEvery = 5 * time.Minute
	// retryEvery is how soon a fetch that failed is tried again, and how often tokens with unknown keys
	// may lead to one.
	retryEvery = 10 * time.Second
)

// keySet are the keys of a JWK Set and, for a while, those that were in it.
type keySet struct {
	url    string
	client *http.Client
	window time.Duration
	now    func() time.Time
	logger *slog.Logger

	// held is nil until the first fetch succeeds.
	held atomic.Pointer[[]heldKey]
	// flight makes fetches one at a time; what they find is stored within.
	flight singleflight.Group
	limit  *rate.Limiter
	failed atomic.Bool
}

// heldKey is a key and since when it is not in the set any more: zero while it is.
type heldKey struct {
	key
	gone time.Time
}

func newKeySet(o Options) *keySet {
	client := *o.HTTPClient
	// The URL is the operator's word; where it leads to is not.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &keySet{
		url: o.JWKSURL, client: &client, window: o.PreviousKeyWindow, now: o.Now, logger: o.Logger,
		limit: rate.NewLimiter(rate.Every(retryEvery), 1),
	}
}

// find returns what is held. For a key that is not it asks the endpoint; when that could not be asked,
// nobody knows whether the token is good.
func (s *keySet) find(ctx context.Context, id, algorithm string) ([]jwt.VerificationKey, error) {
	found, known := s.lookup(id, algorithm)
	if known {
		return found, misfit(found, algorithm)
	}
	err := s.refresh(ctx)
	// Another's fetch may have brought it, whatever became of ours.
	found, known = s.lookup(id, algorithm)
	switch {
	case known:
		return found, misfit(found, algorithm)
	case err != nil:
		return nil, unavailable(err.Error())
	default:
		return nil, invalid("no key has its kid")
	}
}

func misfit(found []jwt.VerificationKey, algorithm string) error {
	if len(found) == 0 {
		return invalid("the key that its header names is not for its algorithm %s", algorithm)
	}
	return nil
}

// lookup returns the keys of a name that are for an algorithm, and whether there is any of that name.
// A token that names no key may be signed by each.
func (s *keySet) lookup(id, algorithm string) (found []jwt.VerificationKey, known bool) {
	held := s.held.Load()
	if held == nil {
		return nil, false
	}
	now := s.now()
	for _, k := range *held {
		if id != "" && k.id != id || k.over(now, s.window) {
			continue
		}
		known = true
		if k.fits(algorithm) {
			found = append(found, k.value)
		}
	}
	return found, known
}

// over reports whether a key has been out of the set for too long.
func (k heldKey) over(now time.Time, window time.Duration) bool {
	return !k.gone.IsZero() && now.Sub(k.gone) >= window
}

var errTooSoon = errors.New("the JWK Set was asked for a moment ago")

// refresh fetches on behalf of a token. All who ask at the same time wait for one fetch, which
// outlives each of them.
func (s *keySet) refresh(ctx context.Context) error {
	done := s.flight.DoChan(s.url, func() (any, error) {
		if !s.limit.AllowN(s.now(), 1) {
			return nil, errTooSoon
		}
		return nil, s.fetch(context.WithoutCancel(ctx))
	})
	select {
	case result := <-done:
		return result.Err
	case <-ctx.Done():
		return errors.New("the client did not wait for the JWK Set")
	}
}

// run fetches now and then. Gateways that started together do not ask together for long.
func (s *keySet) run(ctx context.Context) error {
	for {
		_, err, _ := s.flight.Do(s.url, func() (any, error) { return nil, s.fetch(ctx) })
		pause := refreshEvery
		if err != nil {
			pause = retryEvery
		}
		select {
		case <-time.After(pause - rand.N(pause/10)):
		case <-ctx.Done():
			return nil
		}
	}
}

// fetch replaces what is held when the endpoint answers with keys, and leaves it when it does not. It
// tells the log about the first of several failures, and about the end of them.
func (s *keySet) fetch(ctx context.Context) error {
	fresh, err := s.download(ctx)
	if err != nil {
		if ctx.Err() == nil && !s.failed.Swap(true) {
			s.logger.Warn("JWK Set not fetched, known keys stay", slog.Any("error", err), slog.Int("keys", s.count()))
		}
		return err
	}
	if s.failed.Swap(false) {
		s.logger.Info("JWK Set fetched again", slog.Int("keys", len(fresh)))
	}
	var before []heldKey
	if held := s.held.Load(); held != nil {
		before = *held
	}
	held := merge(before, fresh, s.now(), s.window)
	s.held.Store(&held)
	return nil
}

func (s *keySet) count() int {
	if held := s.held.Load(); held != nil {
		return len(*held)
	}
	return 0
}

// merge is the new set, and of what was held the keys that have left it not too long ago.
func merge(before []heldKey, fresh []key, now time.Time, window time.Duration) []heldKey {
	held := make([]heldKey, 0, len(before)+len(fresh))
	for _, k := range fresh {
		held = append(held, heldKey{key: k})
	}
	for _, k := range before {
		if slices.ContainsFunc(fresh, k.equal) {
			continue
		}
		if k.gone.IsZero() {
			k.gone = now
		}
		if !k.over(now, window) {
			held = append(held, k)
		}
	}
	return held
}
