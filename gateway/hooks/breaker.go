package hooks

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"
)

// When a breaker opens, and for how long. It takes a few failures, half of all that was asked within a
// window, so that one client whose questions a backend stumbles over does not shut out the others.
const (
	breakerWindow   = 10 * time.Second
	breakerBucket   = time.Second
	breakerFailures = 5
	breakerPause    = 2 * time.Second
)

// breaker keeps requests from a backend that is down. After a pause it lets one through.
type breaker struct {
	*gobreaker.CircuitBreaker[struct{}]
}

func newBreaker(name string, pause time.Duration, log *slog.Logger) breaker {
	return breaker{gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name: name, Interval: breakerWindow, BucketPeriod: breakerBucket, Timeout: pause,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.TotalFailures >= breakerFailures && 2*c.TotalFailures >= c.Requests
		},
		IsSuccessful: answered,
		// A client that left says nothing about the backend.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
		OnStateChange: func(name string, _, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				log.Warn("hook is down, not asked for a while", slog.String("hook", name), slog.Duration("pause", pause))
			case gobreaker.StateClosed:
				log.Info("hook answers again", slog.String("hook", name))
			case gobreaker.StateHalfOpen:
				// The next request shows.
			}
		},
	})}
}

// answered says whether somebody was there: to be refused is no reason not to ask again.
func answered(err error) bool {
	f, failed := errors.AsType[*failure](err)
	return !failed || f.meant
}

// through asks, unless the breaker is open: then it returns errBreaker.
func (b breaker) through(ask func() error) error {
	_, err := b.Execute(func() (struct{}, error) { return struct{}{}, ask() })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return errBreaker
	}
	return err
}

func (b breaker) open() bool { return b.State() == gobreaker.StateOpen }

var errBreaker = down("it did not answer lately, and is not asked again yet")
