package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/recovery"
)

// Reads are what clients read of the broker, shared by those who ask for the same at the same time:
// after a deploy thousands come back at once and ask for what everybody sees. One read of a kind is
// under way. Who asks meanwhile gets the next one's answer, with all others who do: what was going on
// may have begun before the client's own publication or join was there, and would be older than its
// question.
type Reads struct {
	group  singleflight.Group
	logger *slog.Logger

	mu sync.Mutex
	// latest is closed when the latest read of a kind is over, by the kind.
	latest map[string]chan struct{}
}

// NewReads returns what the sessions of one gateway share.
func NewReads(logger *slog.Logger) *Reads {
	return &Reads{logger: logger, latest: map[string]chan struct{}{}}
}

// errBug is a read that met a bug; the log says more.
var errBug = errors.New("a read failed")

// shared does a read for all who ask for the same. They must not change what they get. Without Reads
// everybody reads alone.
func shared[T any](ctx context.Context, r *Reads, kind string, timeout time.Duration, read func(context.Context) (T, error)) (T, error) {
	if r == nil {
		return read(ctx)
	}
	answers := r.group.DoChan(kind, func() (any, error) {
		defer r.turn(kind)()
		// Who asks from now on asks later than this read does.
		r.group.Forget(kind)
		// Whoever came first may be gone before the others have what they wait for.
		alone, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		return guarded(r.logger, func() (T, error) { return read(alone) })
	})
	select {
	case a := <-answers:
		// It is no T only beside an error.
		answer, _ := a.Val.(T)
		return answer, a.Err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("%w: %w", broker.ErrUnavailable, ctx.Err())
	}
}

// guarded keeps a bug met by one read from ending the gateway: it has a goroutine of its own.
func guarded[T any](logger *slog.Logger, read func() (T, error)) (answer T, err error) {
	defer recovery.ToError(&err, errBug, logger, "a client's read failed")
	return read()
}

// turn waits until the read before is over, and returns what ends this one.
func (r *Reads) turn(kind string) (over func()) {
	mine := make(chan struct{})
	r.mu.Lock()
	before := r.latest[kind]
	r.latest[kind] = mine
	r.mu.Unlock()
	if before != nil {
		<-before
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.latest[kind] == mine {
			delete(r.latest, kind)
		}
		close(mine)
	}
}
