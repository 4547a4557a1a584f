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
	// refreshEvery is the interval between two fetches.
	refreshEvery = 5 * time.Minute
	// retryEvery is the interval between a fetch that failed and the next, and the minimum time between two fetches for
	// tokens with unknown keys.
	retryEvery = 10 * time.Second
)

// keySet holds the keys of a JWK Set and, for Options.PreviousKeyWindow, those that have left it.
type keySet struct {
	url    string
	client *http.Client
	window time.Duration
	now    func() time.Time
	logger *slog.Logger

	// held are the keys; nil until the first fetch succeeds.
	held atomic.Pointer[[]heldKey]
	// flight runs one fetch at a time, which stores its result in held.
	flight singleflight.Group
	limit  *rate.Limiter
	failed atomic.Bool
}

// heldKey is a key of the set, or one that has left it.
type heldKey struct {
	key
	// removedAt is when the key left the set; zero while it is in it.
	removedAt time.Time
}

func newKeySet(o Options) *keySet {
	client := *o.HTTPClient
	// The URL is configured; where it redirects to is not.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &keySet{
		url: o.JWKSURL, client: &client, window: o.PreviousKeyWindow, now: o.Now, logger: o.Logger,
		limit: rate.NewLimiter(rate.Every(retryEvery), 1),
	}
}

// find implements source. For a key that is not held it fetches the set. It returns an ErrInvalid when no key has the
// name or is for the algorithm, and an ErrUnavailable when the set could not be fetched.
func (s *keySet) find(ctx context.Context, id, algorithm string) ([]jwt.VerificationKey, error) {
	found, known := s.lookup(id, algorithm)
	if known {
		return found, checkFound(found, algorithm)
	}
	err := s.refresh(ctx)
	// Another fetch may have brought the key although this one failed.
	found, known = s.lookup(id, algorithm)
	switch {
	case known:
		return found, checkFound(found, algorithm)
	case err != nil:
		return nil, unavailable(err.Error())
	default:
		return nil, invalid("no key has its kid")
	}
}

// checkFound returns an ErrInvalid when no key of the name is for the algorithm.
func checkFound(found []jwt.VerificationKey, algorithm string) error {
	if len(found) == 0 {
		return invalid("the key that its header names is not for its algorithm %s", algorithm)
	}
	return nil
}

// lookup returns the held keys with a name that are for an algorithm. known reports whether any key has the name.
// Without a name every key is tried.
func (s *keySet) lookup(id, algorithm string) (found []jwt.VerificationKey, known bool) {
	held := s.held.Load()
	if held == nil {
		return nil, false
	}
	now := s.now()
	for _, k := range *held {
		if id != "" && k.id != id || k.expired(now, s.window) {
			continue
		}
		known = true
		if k.fits(algorithm) {
			found = append(found, k.value)
		}
	}
	return found, known
}

// expired reports whether a key has been out of the set for longer than the window.
func (k heldKey) expired(now time.Time, window time.Duration) bool {
	return !k.removedAt.IsZero() && now.Sub(k.removedAt) >= window
}

var errTooSoon = errors.New("the JWK Set was asked for a moment ago")

// refresh fetches the set for a token. Concurrent callers wait for one fetch, which outlives each of them. It returns
// an error when the fetch fails, comes too soon after another, or ctx ends.
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

// run implements source: it fetches at random times within the interval, so that gateways that started together spread
// out.
func (s *keySet) run(ctx context.Context) error {
	for {
		_, err, _ := s.flight.Do(s.url, func() (any, error) { return nil, s.fetch(ctx) })
		interval := refreshEvery
		if err != nil {
			interval = retryEvery
		}
		select {
		case <-time.After(interval - rand.N(interval/10)):
		case <-ctx.Done():
			return nil
		}
	}
}

// fetch replaces the held keys when the endpoint answers with keys, and keeps them otherwise. It logs the first of
// several failures, and the end of them.
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

// merge returns the keys of the new set, and those of before that have left it within the window.
func merge(before []heldKey, fresh []key, now time.Time, window time.Duration) []heldKey {
	held := make([]heldKey, 0, len(before)+len(fresh))
	for _, k := range fresh {
		held = append(held, heldKey{key: k})
	}
	for _, k := range before {
		if slices.ContainsFunc(fresh, k.equal) {
			continue
		}
		if k.removedAt.IsZero() {
			k.removedAt = now
		}
		if !k.expired(now, window) {
			held = append(held, k)
		}
	}
	return held
}
