package hooks

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"
)

// A breaker opens after breakerFailures failures within breakerWindow that are at least half of all calls. So one
// client whose requests the backend cannot handle does not keep out the others.
const (
	breakerWindow   = 10 * time.Second
	breakerBucket   = time.Second
	breakerFailures = 5
	// callbackOpenDuration is how long a callback's breaker stays open.
	callbackOpenDuration = 2 * time.Second
)

// breaker is a circuit breaker: it keeps requests away from a backend that is down, and after a while lets one through
// to try it.
type breaker struct {
	*gobreaker.CircuitBreaker[struct{}]
}

// newBreaker returns a closed breaker of the hook that stays open for openDuration.
func newBreaker(name string, openDuration time.Duration, log *slog.Logger) breaker {
	return breaker{gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         name,
		Interval:     breakerWindow,
		BucketPeriod: breakerBucket,
		Timeout:      openDuration,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.TotalFailures >= breakerFailures && 2*c.TotalFailures >= c.Requests
		},
		IsSuccessful: isSuccess,
		// A call whose client left says nothing about the backend.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
		OnStateChange: func(name string, _, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				log.Warn("hook is down, not called for a while", slog.String("hook", name), slog.Duration("pause", openDuration))
			case gobreaker.StateClosed:
				log.Info("hook answers again", slog.String("hook", name))
			case gobreaker.StateHalfOpen:
				// The next request decides.
			}
		},
	})}
}

// isSuccess reports whether the backend responded at all. A response that cannot be used does not open the breaker.
func isSuccess(err error) bool {
	f, failed := errors.AsType[*failure](err)
	return !failed || f.responded
}

// do calls send and returns its error. It returns errBreakerOpen without calling send while the breaker is open.
func (b breaker) do(send func() error) error {
	_, err := b.Execute(func() (struct{}, error) { return struct{}{}, send() })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return errBreakerOpen
	}
	return err
}

// open reports whether the breaker is open.
func (b breaker) open() bool { return b.State() == gobreaker.StateOpen }

// errBreakerOpen is a *failure.
var errBreakerOpen = down("it did not answer lately, and is not asked again yet")
