package transport

import (
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// A frame that waits costs memory beside its bytes, which counts for small ones: there may be one
	// for every so many bytes of the bound, but at least a few.
	bytesPerEntry = 64
	leastEntries  = 1024
	// entriesAtOnce is how many entries of a queue are charged to the budget together: queues that stay
	// shorter, which is all of clients that keep up, cost no count.
	entriesAtOnce = 256
	entryBytes    = 16
	// sparedEntries is how long a list may be that is kept for another queue.
	sparedEntries = 64
)

// budget bounds the memory of all queues. A message that waits for thousands counts once.
type budget struct {
	max  int64
	used atomic.Int64
}

func (b *budget) exhausted() bool { return b.max > 0 && b.used.Load() > b.max }

// hold counts a frame's memory while it waits anywhere.
func (b *budget) hold(f Frame) {
	if f.queues.Add(1) == 1 {
		b.used.Add(int64(len(f.wire)))
	}
}

func (b *budget) release(f Frame) {
	if f.queues.Add(-1) == 0 {
		b.used.Add(-int64(len(f.wire)))
	}
}

// queue is what waits to be written to one connection, bounded in bytes and in frames. A connection
// has one while something waits, and locks it.
type queue struct {
	// waiting has not been taken by the writer yet.
	waiting []Frame
	out     batch
	// bytes counts what waits and what is on its way, answers those of them that the client asked for.
	bytes, answers int
	// charged is how many entries were charged to the budget.
	charged int
	// spare is the memory of an earlier batch, for the next.
	spare []Frame
	// room is closed when there is room again, or nobody will read; it is there while somebody waits.
	room chan struct{}
}

// batch is what is on its way to the peer. Between take and written it is the writer's.
type batch struct {
	frames []Frame
	bytes  int
	// last: nothing will follow.
	last bool
	// next and skip are how far the writer has got: a frame, and the bytes of it that are out.
	next, skip int
}

// isOut tells that nothing of it is left to write.
func (b *batch) isOut() bool { return b.next == len(b.frames) }

// piece is the beginning of what is left, in one piece: copied into scratch when several frames fit.
func (b *batch) piece(scratch []byte) []byte {
	first := b.frames[b.next].wire[b.skip:]
	if b.next == len(b.frames)-1 || len(first) >= cap(scratch) {
		return first
	}
	scratch = append(scratch[:0], first...)
	for _, f := range b.frames[b.next+1:] {
		scratch = append(scratch, f.wire[:min(len(f.wire), cap(scratch)-len(scratch))]...)
		if len(scratch) == cap(scratch) {
			break
		}
	}
	return scratch
}

// advance counts n bytes as out.
func (b *batch) advance(n int) {
	for n += b.skip; b.next < len(b.frames) && n >= len(b.frames[b.next].wire); b.next++ {
		n -= len(b.frames[b.next].wire)
	}
	b.skip = n
}

var spareQueues = sync.Pool{New: func() any { return &queue{} }}

// bounds are what a queue is held against.
type bounds struct {
	bytes  int
	budget *budget
	// stuck: the client's socket is full.
	stuck bool
}

func (b bounds) entries() int { return max(leastEntries, b.bytes/bytesPerEntry) }

// missed counts, by policy, messages that a client does not get.
type missed [LatestOnly + 1]int

// push adds a frame, or does with it and its like what their streams say. It reports false when there
// is no room and nothing that may be missed. A frame is let through when nothing else waits, however
// large: no client could be fast enough for it otherwise.
func (q *queue) push(f Frame, b bounds) (m missed, ok bool) {
	if b.stuck && f.policy() == LatestOnly {
		m[LatestOnly] = q.forget(f.stream, b.budget)
	}
	for q.isFull(f, b) {
		policy := q.dropOldest(b.budget)
		if policy == Disconnect {
			// What finds no room may be what is missed.
			m[f.policy()]++
			return m, f.policy() != Disconnect
		}
		m[policy]++
	}
	q.force(f, b.budget)
	return m, true
}

func (q *queue) isFull(f Frame, b bounds) bool {
	switch {
	case q.bytes == 0:
		return false
	case len(q.waiting) >= b.entries() || b.budget.exhausted():
		return true
	case f.answer:
		// Its size is the client's doing. Its handler waits for Room before it makes another large one.
		return q.answers > b.bytes
	}
	return q.bytes-q.answers+len(f.wire) > b.bytes
}

// count adds a frame to what waits, or takes it away.
func (q *queue) count(f Frame, times int) {
	q.bytes += times * len(f.wire)
	if f.answer {
		q.answers += times * len(f.wire)
	}
}

// hasRoom tells that less than half of what may wait does.
func (q *queue) hasRoom(bytes int) bool { return q.bytes <= bytes/2 }

// makeRoom wakes who waits for room.
func (q *queue) makeRoom() {
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
}

// force adds a frame whatever waits; for close frames.
func (q *queue) force(f Frame, b *budget) {
	b.hold(f)
	q.waiting = append(q.waiting, f)
	q.count(f, 1)
	if len(q.waiting)-q.charged >= entriesAtOnce {
		q.charged += entriesAtOnce
		b.used.Add(entriesAtOnce * entryBytes)
	}
}

// forget drops what waits of a stream, and counts it.
func (q *queue) forget(s *DropGroup, b *budget) int {
	kept := q.waiting[:0]
	for _, f := range q.waiting {
		if f.stream != s {
			kept = append(kept, f)
			continue
		}
		q.bytes -= len(f.wire)
		b.release(f)
	}
	dropped := len(q.waiting) - len(kept)
	clear(q.waiting[len(kept):])
	q.waiting = kept
	return dropped
}

// dropOldest forgets the oldest frame that may be missed, and returns the policy that says so, or
// Disconnect when there is none.
func (q *queue) dropOldest(b *budget) DropPolicy {
	i := slices.IndexFunc(q.waiting, func(w Frame) bool { return w.policy() != Disconnect })
	if i < 0 {
		return Disconnect
	}
	dropped := q.waiting[i]
	q.bytes -= len(dropped.wire)
	b.release(dropped)
	// The few in front move back, instead of the many behind forward.
	copy(q.waiting[1:i+1], q.waiting[:i])
	q.waiting[0] = Frame{}
	q.waiting = q.waiting[1:]
	return dropped.policy()
}

// drop forgets what the writer has not taken.
func (q *queue) drop(b *budget) {
	for _, f := range q.waiting {
		q.count(f, -1)
		b.release(f)
	}
	q.discharge(b)
	clear(q.waiting)
	q.waiting = q.waiting[:0]
}

// take hands everything that waits to the writer.
func (q *queue) take(b *budget) *batch {
	q.discharge(b)
	q.out = batch{frames: q.waiting, bytes: q.bytes}
	q.waiting = q.spare
	q.spare = nil
	return &q.out
}

// written counts what was taken as gone.
func (q *queue) written(b *budget) {
	for _, f := range q.out.frames {
		q.count(f, -1)
		b.release(f)
	}
	clear(q.out.frames)
	q.spare = q.out.frames[:0]
	q.out = batch{}
}

// abandon gives back what a connection that ended held. The writer may still look at its batch.
func (q *queue) abandon(b *budget) {
	q.makeRoom()
	q.drop(b)
	for _, f := range q.out.frames {
		b.release(f)
	}
}

func (q *queue) discharge(b *budget) {
	if q.charged > 0 {
		b.used.Add(-int64(q.charged) * entryBytes)
		q.charged = 0
	}
}

// idle: nothing waits, and nobody holds anything.
func (q *queue) idle() bool { return len(q.waiting) == 0 && len(q.out.frames) == 0 }

// reuse gives an idle queue to the next connection that needs one.
func (q *queue) reuse(b *budget) {
	q.discharge(b)
	for _, list := range []*[]Frame{&q.waiting, &q.spare} {
		if cap(*list) > sparedEntries {
			*list = nil
		}
	}
	spareQueues.Put(q)
}
