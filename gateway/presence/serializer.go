package presence

import (
	"context"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// memberKey is one client in one channel.
type memberKey struct{ channel, client string }

// pendingLeave is a member to remove.
type pendingLeave struct {
	info broker.ClientInfo
	// grace is how long the member stays present in case its user comes back.
	grace time.Duration
	// noNotify is true when no join was published for the member. Then no leave is published either.
	noNotify bool
}

// serializer runs the broker's calls for one memberKey one after the other, so that a client that leaves and comes back
// at once is not removed by its own leave. A call acquires its key and releases it when it is done. Leaves wait in a
// queue for the workers of Keeper.Run. The serializer does no I/O.
type serializer struct {
	// wake holds at most one token for each worker.
	wake chan struct{}

	// mu guards the fields below.
	mu sync.Mutex
	// acquired holds the keys of running calls. The channel is closed when the key is released.
	acquired map[memberKey]chan struct{}
	// leaves holds the leaves that wait for a worker.
	leaves map[memberKey]pendingLeave
	// queue holds the keys of leaves in their order. A key that is acquired comes into it when it is released. A key
	// whose leave was canceled stays in it and is skipped.
	queue []memberKey
	// running counts the leaves that workers are doing.
	running int
	// idle is closed when no leave waits or runs. Nil: no caller waits for that.
	idle chan struct{}
	// stopped is true when there are no workers any more.
	stopped bool
}

func newSerializer() serializer {
	return serializer{
		wake:     make(chan struct{}, leaveWorkers),
		acquired: map[memberKey]chan struct{}{},
		leaves:   map[memberKey]pendingLeave{},
	}
}

// acquireForJoin blocks until it acquires a key for a join. It cancels a leave of the key that has not begun, and
// returns it. It reports false when the context ends first.
func (s *serializer) acquireForJoin(ctx context.Context, key memberKey) (canceled *pendingLeave, ok bool) {
	ok = s.acquireAnd(ctx, key, func() {
		if l, waits := s.leaves[key]; waits {
			canceled = &l
			delete(s.leaves, key)
			s.signalIdle()
		}
	})
	return canceled, ok
}

// acquire blocks until it acquires a key. It reports false when the context ends first.
func (s *serializer) acquire(ctx context.Context, key memberKey) bool {
	return s.acquireAnd(ctx, key, func() {})
}

// acquireAnd blocks until it acquires a key, and calls then with mu. It reports false when the context ends first.
func (s *serializer) acquireAnd(ctx context.Context, key memberKey, then func()) bool {
	for {
		released := s.tryAcquire(key, then)
		if released == nil {
			return true
		}
		select {
		case <-released:
		case <-ctx.Done():
			return false
		}
	}
}

// tryAcquire acquires a key and calls then with mu. When another call has acquired the key, it returns a channel that
// is closed at the release.
func (s *serializer) tryAcquire(key memberKey, then func()) (released <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if released, held := s.acquired[key]; held {
		return released
	}
	s.acquired[key] = make(chan struct{})
	then()
	return nil
}

// release releases a key, and queues its leave if one has come meanwhile.
func (s *serializer) release(key memberKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.acquired[key])
	delete(s.acquired, key)
	if _, waits := s.leaves[key]; waits {
		s.enqueue(key)
	}
}

// addLeave queues a leave. Of two leaves of the same key the shorter grace counts, and noNotify if either has it.
func (s *serializer) addLeave(key memberKey, l pendingLeave) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	before, waits := s.leaves[key]
	if waits {
		l.grace, l.noNotify = min(l.grace, before.grace), l.noNotify || before.noNotify
	}
	s.leaves[key] = l
	if _, held := s.acquired[key]; !held && !waits {
		s.enqueue(key)
	}
}

// enqueue puts a key with a leave into the queue and wakes a worker. The caller holds mu.
func (s *serializer) enqueue(key memberKey) {
	s.queue = append(s.queue, key)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// acquireLeave blocks until there is a leave, and acquires its key. The caller calls releaseLeave when the leave is
// done. It reports false when the context ends first.
func (s *serializer) acquireLeave(ctx context.Context) (key memberKey, l pendingLeave, ok bool) {
	for {
		if key, l, ok = s.tryAcquireLeave(); ok {
			return key, l, true
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return memberKey{}, pendingLeave{}, false
		}
	}
}

// tryAcquireLeave takes the first leave of the queue whose key is not acquired. It skips the others, so that no worker
// waits for a slow join while other leaves could run.
func (s *serializer) tryAcquireLeave() (key memberKey, l pendingLeave, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		key = s.queue[0]
		s.queue = s.queue[1:]
		l, waits := s.leaves[key]
		if _, held := s.acquired[key]; held || !waits {
			continue
		}
		delete(s.leaves, key)
		s.acquired[key] = make(chan struct{})
		s.running++
		return key, l, true
	}
	s.queue = nil
	return memberKey{}, pendingLeave{}, false
}

// releaseLeave releases the key of a leave that is done.
func (s *serializer) releaseLeave(key memberKey) {
	s.release(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	s.signalIdle()
}

// idleSignal returns a channel that is closed when no leave waits or runs.
func (s *serializer) idleSignal() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.signalIdle()
	return idle
}

// signalIdle closes the channel of idleSignal if no leave waits or runs. The caller holds mu.
func (s *serializer) signalIdle() {
	if s.idle != nil && len(s.leaves) == 0 && s.running == 0 {
		close(s.idle)
		s.idle = nil
	}
}

// stop drops all leaves, also those that come later, because there are no workers to do them.
func (s *serializer) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped, s.queue = true, nil
	clear(s.leaves)
	s.signalIdle()
}
