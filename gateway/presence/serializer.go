package presence

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// memberKey is one client in one channel.
type memberKey struct{ channel, client string }

// pendingLeave is a member to remove.
type pendingLeave struct {
	channel string
	info    broker.ClientInfo
	// grace is how long the member stays present in case its user comes back.
	grace time.Duration
	// noNotify is true when no join was published for the member. Then no leave is published either.
	noNotify bool
}

// key returns the key of the member.
func (l *pendingLeave) key() memberKey { return memberKey{l.channel, l.info.Client} }

// clientLeaves holds the leaves of one client that wait for a worker. A client that is lost leaves all its channels at
// once, so that there is one of these for each client, and not for each member.
type clientLeaves struct {
	client string
	list   []pendingLeave
	// queued reports that it is in the serializer's queue.
	queued bool
}

// find returns the index of the leave of a channel, or -1.
func (c *clientLeaves) find(channel string) int {
	return slices.IndexFunc(c.list, func(l pendingLeave) bool { return l.channel == channel })
}

// take removes the leave at an index and returns it. The first ones come first, but for those that had to wait.
func (c *clientLeaves) take(i int) pendingLeave {
	l := c.list[i]
	c.list[i] = c.list[0]
	c.list[0] = pendingLeave{}
	c.list = c.list[1:]
	return l
}

// serializer runs the broker's calls for one memberKey one after the other, so that a client that leaves and comes back
// at once is not removed by its own leave. A call acquires its key and releases it when it is done. Leaves wait in a
// queue for the workers of Keeper.Run. The serializer does no I/O.
type serializer struct {
	// wake holds at most one token for each worker.
	wake chan struct{}

	// mu guards the fields below.
	mu sync.Mutex
	// acquired holds the keys of running calls. The channel is closed when the key is released; it is nil until another
	// call waits for that.
	acquired map[memberKey]chan struct{}
	// leaves holds the leaves that wait for a worker, by client. None is empty.
	leaves map[string]*clientLeaves
	// queue holds the clients with leaves in their order. A client whose keys are all acquired comes into it when one is
	// released. A client whose leaves were canceled stays in it and is skipped.
	queue []*clientLeaves
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
		leaves:   map[string]*clientLeaves{},
	}
}

// acquireForJoin blocks until it acquires a key for a join. It cancels a leave of the key that has not begun, and
// returns it. It reports false when the context ends first.
func (s *serializer) acquireForJoin(ctx context.Context, key memberKey) (canceled *pendingLeave, ok bool) {
	for {
		canceled, released := s.tryAcquireForJoin(key)
		if released == nil {
			return canceled, true
		}
		if !await(ctx, released) {
			return nil, false
		}
	}
}

// acquire blocks until it acquires a key. It reports false when the context ends first.
func (s *serializer) acquire(ctx context.Context, key memberKey) bool {
	for {
		released := s.tryAcquire(key)
		if released == nil {
			return true
		}
		if !await(ctx, released) {
			return false
		}
	}
}

// await blocks until a key is released. It reports false when the context ends first.
func await(ctx context.Context, released <-chan struct{}) bool {
	select {
	case <-released:
		return true
	case <-ctx.Done():
		return false
	}
}

// tryAcquireForJoin acquires a key, cancels its leave and returns it. When another call has acquired the key, it
// returns a channel that is closed at the release.
func (s *serializer) tryAcquireForJoin(key memberKey) (canceled *pendingLeave, released <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if released = s.lockKey(key); released != nil {
		return nil, released
	}
	if c := s.leaves[key.client]; c != nil {
		if i := c.find(key.channel); i >= 0 {
			l := s.take(c, i)
			canceled = &l
			s.signalIdle()
		}
	}
	return canceled, nil
}

// tryAcquire acquires a key. When another call has acquired the key, it returns a channel that is closed at the
// release.
func (s *serializer) tryAcquire(key memberKey) (released <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lockKey(key)
}

// lockKey is tryAcquire for a caller that holds mu.
func (s *serializer) lockKey(key memberKey) (released <-chan struct{}) {
	c, held := s.acquired[key]
	if held && c == nil {
		c = make(chan struct{})
	}
	s.acquired[key] = c
	return c
}

// take takes a leave out of those of its client. The caller holds mu.
func (s *serializer) take(c *clientLeaves, i int) pendingLeave {
	l := c.take(i)
	if len(c.list) == 0 {
		delete(s.leaves, c.client)
	}
	return l
}

// release releases a key, and queues its leave if one has come meanwhile.
func (s *serializer) release(key memberKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlockKey(key)
}

// unlockKey is release for a caller that holds mu.
func (s *serializer) unlockKey(key memberKey) {
	if released := s.acquired[key]; released != nil {
		close(released)
	}
	delete(s.acquired, key)
	if c := s.leaves[key.client]; c != nil && !c.queued && c.find(key.channel) >= 0 {
		s.enqueue(c)
		s.wakeFor(1)
	}
}

// addLeaves queues leaves of one client. Of two leaves of the same key the shorter grace counts, and noNotify if either
// has it. The serializer owns the list, which has a channel once.
func (s *serializer) addLeaves(client string, list []pendingLeave) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || len(list) == 0 {
		return
	}
	c := s.leaves[client]
	if c == nil {
		c = &clientLeaves{client: client, list: list}
		s.leaves[client] = c
	} else {
		c.merge(list)
	}
	if !c.queued && s.firstFree(c) >= 0 {
		s.enqueue(c)
	}
	s.wakeFor(len(list))
}

// merge adds leaves to those that wait.
func (c *clientLeaves) merge(list []pendingLeave) {
	waiting := c.list
	for _, l := range list {
		i := slices.IndexFunc(waiting, func(before pendingLeave) bool { return before.channel == l.channel })
		if i < 0 {
			c.list = append(c.list, l)
			continue
		}
		before := &c.list[i]
		l.grace, l.noNotify = min(l.grace, before.grace), l.noNotify || before.noNotify
		*before = l
	}
}

// firstFree returns the index of the first leave of a client whose key is not acquired, or -1. The caller holds mu.
func (s *serializer) firstFree(c *clientLeaves) int {
	return slices.IndexFunc(c.list, func(l pendingLeave) bool {
		_, held := s.acquired[l.key()]
		return !held
	})
}

// enqueue puts a client with a leave into the queue. The caller holds mu.
func (s *serializer) enqueue(c *clientLeaves) {
	c.queued = true
	s.queue = append(s.queue, c)
}

// wakeFor wakes workers for a number of leaves.
func (s *serializer) wakeFor(leaves int) {
	for range leaves {
		select {
		case s.wake <- struct{}{}:
		default:
			return
		}
	}
}

// acquireLeave blocks until there is a leave, and acquires its key. The caller calls releaseLeave when the leave is
// done. It reports false when the context ends first.
func (s *serializer) acquireLeave(ctx context.Context) (l pendingLeave, ok bool) {
	for {
		if l, ok = s.tryAcquireLeave(); ok {
			return l, true
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return pendingLeave{}, false
		}
	}
}

// tryAcquireLeave takes the first leave of the queue whose key is not acquired. It skips the others, so that no worker
// waits for a slow join while other leaves could run.
func (s *serializer) tryAcquireLeave() (l pendingLeave, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		c := s.queue[0]
		i := s.firstFree(c)
		if i < 0 {
			c.queued = false
			s.queue[0] = nil
			s.queue = s.queue[1:]
			continue
		}
		l = s.take(c, i)
		_ = s.lockKey(l.key())
		s.running++
		return l, true
	}
	s.queue = nil
	return pendingLeave{}, false
}

// releaseLeave releases the key of a leave that is done.
func (s *serializer) releaseLeave(l *pendingLeave) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlockKey(l.key())
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
