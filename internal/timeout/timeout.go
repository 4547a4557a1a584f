// Package timeout limits in time what rarely waits. context.WithTimeout starts a timer and joins the parent's children
// at once; the context of this package does so only when its Done is called. Calls of a broker in this process never
// get there.
package timeout

import (
	"context"
	"sync"
	"time"
)

// After returns a context that ends after d, when cancel is called, or when its parent ends. It makes its channel and
// its timer when Done is called first. The caller must call cancel when it is done. Contexts may be derived from it.
func After(parent context.Context, d time.Duration) (ctx context.Context, cancel context.CancelFunc) {
	// A function of two lines is inlined, so that cancel needs no memory.
	c := newLazy(parent, d)
	return c, c.cancel
}

// lazy is a context with a deadline, made for Done only when it is called. It is safe for use by many goroutines.
type lazy struct {
	parent   context.Context
	deadline time.Time

	// mu guards the fields below.
	mu sync.Mutex
	// waiting is what context.WithDeadline made of parent for Done. It is nil until then, and stays nil when the context
	// has ended before.
	waiting context.Context
	stop    context.CancelFunc
	// ended is the error of a context that ended before Done was called, or nil. over is what Done returns then.
	ended error
	over  chan struct{}
}

func newLazy(parent context.Context, d time.Duration) *lazy {
	at := time.Now().Add(d)
	if before, ok := parent.Deadline(); ok && before.Before(at) {
		at = before
	}
	return &lazy{parent: parent, deadline: at}
}

// cancel ends the context, and releases what Done made.
func (c *lazy) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.waiting != nil:
		c.stop()
	case c.ended == nil:
		c.ended = context.Canceled
	}
}

// Deadline implements context.Context.
func (c *lazy) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements context.Context. It starts the timer.
func (c *lazy) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.over != nil:
		return c.over
	case c.waiting != nil:
	case c.endedEarly() != nil:
		c.over = make(chan struct{})
		close(c.over)
		return c.over
	default:
		c.waiting, c.stop = context.WithDeadline(c.parent, c.deadline)
	}
	return c.waiting.Done()
}

// Err implements context.Context. It returns context.Canceled after cancel, context.DeadlineExceeded after the
// deadline, the parent's error when the parent has ended first, and nil before.
func (c *lazy) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting != nil {
		return c.waiting.Err()
	}
	return c.endedEarly()
}

// Value implements context.Context. Derived contexts find in it what Done made, as if that were their parent.
func (c *lazy) Value(key any) any {
	c.mu.Lock()
	waiting := c.waiting
	c.mu.Unlock()
	if waiting != nil {
		return waiting.Value(key)
	}
	return c.parent.Value(key)
}

// endedEarly returns the error of a context that has ended before Done was called, or nil. It is the same in all calls.
// The caller holds mu.
func (c *lazy) endedEarly() error {
	if c.ended == nil {
		c.ended = c.parent.Err()
	}
	if c.ended == nil && !time.Now().Before(c.deadline) {
		c.ended = context.DeadlineExceeded
	}
	return c.ended
}
