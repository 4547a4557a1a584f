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
	// untold: nobody was told that it came.
	untold bool
}

// turns says whose turn it is. Without I/O, so it is only locked for moments.
type turns struct {
	// wake holds one token at most for each worker.
	wake chan struct{}

	mu sync.Mutex
	// busy are seats that something is under way for, with what is closed at its end.
	busy map[seat]chan struct{}
	// leaves wait for a worker; order is theirs, but for those whose seats are busy: these come into it
	// when that is over. A seat in order without a leave came back.
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

// come waits for a seat's turn, for who comes: a leave that has not begun is taken back, and returned. It
// reports false when the context ends before.
func (t *turns) come(ctx context.Context, s seat) (back *leave, ok bool) {
	ok = t.await(ctx, s, func() {
		if l, waits := t.leaves[s]; waits {
			back = &l
			delete(t.leaves, s)
			t.rest()
		}
	})
	return back, ok
}

// stay waits for a seat's turn, for who was there before.
func (t *turns) stay(ctx context.Context, s seat) bool {
	return t.await(ctx, s, func() {})
}

// await takes a seat's turn when nothing is under way for it; taken is called with the lock.
func (t *turns) await(ctx context.Context, s seat, taken func()) bool {
	for {
		before := t.take(s, taken)
		if before == nil {
			return true
		}
		select {
		case <-before:
		case <-ctx.Done():
			return false
		}
	}
}

// take returns what ends the turn of another, if there is one.
func (t *turns) take(s seat, taken func()) (before <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if before, busy := t.busy[s]; busy {
		return before
	}
	t.busy[s] = make(chan struct{})
	taken()
	return nil
}

// done ends a seat's turn.
func (t *turns) done(s seat) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.busy[s])
	delete(t.busy, s)
	if _, waits := t.leaves[s]; waits {
		t.queue(s)
	}
}

// leave queues a leave. Of two of the same seat the shorter grace counts, and what nobody was told of
// stays untold.
func (t *turns) leave(s seat, l leave) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	before, waits := t.leaves[s]
	if waits {
		l.grace, l.untold = min(l.grace, before.grace), l.untold || before.untold
	}
	t.leaves[s] = l
	if _, busy := t.busy[s]; !busy && !waits {
		t.queue(s)
	}
}

// queue puts a seat whose leave waits into the order; it is called with the lock.
func (t *turns) queue(s seat) {
	t.order = append(t.order, s)
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// next waits for a leave and takes the turn of its seat; false: the context has ended. left ends it.
func (t *turns) next(ctx context.Context) (s seat, l leave, ok bool) {
	for {
		if s, l, ok = t.first(); ok {
			return s, l, true
		}
		select {
		case <-t.wake:
		case <-ctx.Done():
			return seat{}, leave{}, false
		}
	}
}

// first takes the first leave whose seat is not busy. No worker waits for one seat while others could
// go: who comes may take a while.
func (t *turns) first() (s seat, l leave, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.order) > 0 {
		s = t.order[0]
		t.order = t.order[1:]
		l, waits := t.leaves[s]
		if _, busy := t.busy[s]; busy || !waits {
			continue
		}
		delete(t.leaves, s)
		t.busy[s] = make(chan struct{})
		t.out++
		return s, l, true
	}
	t.order = nil
	return seat{}, leave{}, false
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
