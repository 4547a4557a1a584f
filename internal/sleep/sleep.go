// Package sleep waits for a time that a context may cut short. Every part of the program that retries or polls uses
// it, so that none of them outlives the context that it works for.
package sleep

import (
	"context"
	"time"
)

// For blocks for d, or until ctx ends. It returns nil when d has passed and ctx.Err() when ctx ended first, also when
// d is 0 or less.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ctx.Err()
	}
}
