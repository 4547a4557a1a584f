package presence

import (
	"context"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// seat is one client's in one channel. What concerns it happens one after the other: a client that
// leaves and comes back at once must not be taken out by its own leave.
type seat struct{ channel, client string }

// leave is a member that goes.
type leave struct {
	info  broker.ClientInfo
	grace time.Duration
}

// turns says whose turn it is. Without I/O, so it is only locked for moments.
type turns struct {
	// wake holds one token at most for each worker.
	wake chan struct{}

	mu sync.Mutex
	// busy are seats that something is under way for, with what is closed at its end.
	busy map[seat]chan struct{}
	// leaves wait for a worker; order is theirs. A seat in order without a leave came back.
	leaves map[seat]leave
	order  []seat
	// out counts leaves that are under way, idle is closed when there are neither these nor others.
	out  int
	idle chan struct{}
	// ended: there are no workers any more.
	ended bool
}

func newTurns() turns {
	return turns{wake: make(chan struct{}, leavers), busy: map[seat]chan struct{}{}, leaves: map[seat]leave{}}
}

// come waits for a seat's turn, for who comes: a leave that has not begun is taken back. It reports false
// when the context ends before.
func (t *turns) come(ctx context.Context, s seat) bool {
	return t.await(ctx, s, func() bool {
		delete(t.leaves, s)
		t.rest()
		return true
	})
}

// stay waits for a seat's turn, for who was there before.
func (t *turns) stay(ctx context.Context, s seat) bool {
	return t.await(ctx, s, func() bool { return true })
}

// await takes a seat's turn when nothing is under way for it, unless wanted, which is called with the
// lock, says no then.
func (t *turns) await(ctx context.Context, s seat, wanted func() bool) bool {
	for {
		before, taken := t.take(s, wanted)
		if before == nil {
			return taken
		}
		select {
		case <-before:
		case <-ctx.Done():
			return false
		}
	}
}

// take returns what ends the turn of another, if there is one.
func (t *turns) take(s seat, wanted func() bool) (before <-chan struct{}, taken bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if before, busy := t.busy[s]; busy {
		return before, false
	}
	if !wanted() {
		return nil, false
	}
	t.busy[s] = make(chan struct{})
	return nil, true
}

// done ends a seat's turn.
func (t *turns) done(s seat) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.busy[s])
	delete(t.busy, s)
}

// leave queues a leave. Of two of the same seat the shorter grace counts.
func (t *turns) leave(s seat, l leave) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	if before, waits := t.leaves[s]; waits {
		l.grace = min(l.grace, before.grace)
	} else {
		t.order = append(t.order, s)
	}
	t.leaves[s] = l
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// next waits for a leave and the turn of its seat; false: the context has ended. left ends it.
func (t *turns) next(ctx context.Context) (s seat, l leave, ok bool) {
	for {
		for s, ok = t.first(); ok; s, ok = t.first() {
			begun := t.await(ctx, s, func() (waits bool) {
				if l, waits = t.leaves[s]; waits {
					delete(t.leaves, s)
					t.out++
				}
				return waits
			})
			if begun {
				return s, l, true
			}
		}
		select {
		case <-t.wake:
		case <-ctx.Done():
			return seat{}, leave{}, false
		}
	}
}

// first takes a seat from those whose leaves wait.
func (t *turns) first() (s seat, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.order) == 0 {
		t.order = nil
		return seat{}, false
	}
	s = t.order[0]
	t.order = t.order[1:]
	return s, true
}

// left ends a leave and its turn.
func (t *turns) left(s seat) {
	t.done(s)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out--
	t.rest()
}

// settled is closed when no leave waits or is under way.
func (t *turns) settled() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.rest()
	return idle
}

// rest tells who waits for it that all leaves are done, if they are; it is called with the lock.
func (t *turns) rest() {
	if t.idle != nil && len(t.leaves) == 0 && t.out == 0 {
		close(t.idle)
		t.idle = nil
	}
}

// end drops all leaves, also those that come later: there is nobody to take them.
func (t *turns) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended, t.order = true, nil
	clear(t.leaves)
	t.rest()
}
