package session

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/recovery"
)

// Coalescer lets clients that read the same of the broker at the same time share one read: after a deploy thousands of
// clients come back at once and ask for the same history and presence. One read of a key runs at a time. Callers that
// arrive while it runs share the next one, because the running read may have begun before the caller's own publication
// or join, and would return an older state.
type Coalescer struct {
	group  singleflight.Group
	logger *slog.Logger

	// mu guards the fields below.
	mu sync.Mutex
	// latest holds the latest read of each key: a channel that is closed when the read is over.
	latest map[string]chan struct{}
}

// NewCoalescer returns a Coalescer for the sessions of one gateway.
func NewCoalescer(logger *slog.Logger) *Coalescer {
	return &Coalescer{logger: logger, latest: map[string]chan struct{}{}}
}

// coalesce calls read for all callers that ask for the same key, and returns its result, which they must not change.
// The read has a timeout of its own and outlives the caller that started it. coalesce returns an error that wraps
// broker.ErrUnavailable when ctx ends first. A nil Coalescer reads for this caller alone.
func coalesce[T any](
	ctx context.Context, c *Coalescer, key string, timeout time.Duration, read func(context.Context) (T, error),
) (T, error) {
	if c == nil {
		return read(ctx)
	}
	results := c.group.DoChan(key, func() (any, error) {
		defer c.awaitTurn(key)()
		// Forget the read now, so that callers that arrive later start a new one.
		c.group.Forget(key)
		// The first caller may leave before the others have what they wait for.
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		return readRecovered(c.logger, func() (T, error) { return read(detached) })
	})
	select {
	case r := <-results:
		// Val is no T only beside an error.
		result, _ := r.Val.(T)
		return result, r.Err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("%w: %w", broker.ErrUnavailable, ctx.Err())
	}
}

// readRecovered turns a panic of read into recovery.ErrPanic: read runs in a goroutine of its own, where a panic would
// end the gateway.
func readRecovered[T any](logger *slog.Logger, read func() (T, error)) (result T, err error) {
	defer recovery.ToError(&err, logger, "a client's read failed")
	return read()
}

// awaitTurn blocks until the previous read of a key is over. The caller calls done at the end of its read.
func (c *Coalescer) awaitTurn(key string) (done func()) {
	mine := make(chan struct{})
	c.mu.Lock()
	before := c.latest[key]
	c.latest[key] = mine
	c.mu.Unlock()
	if before != nil {
		<-before
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.latest[key] == mine {
			delete(c.latest, key)
		}
		close(mine)
	}
}
