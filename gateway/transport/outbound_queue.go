package transport

import (
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// bytesPerEntry derives the limit of waiting frames from the limit of waiting bytes: each frame costs
	// memory beside its bytes, which matters for small frames.
	bytesPerEntry = 64
	// minEntryLimit is the lowest limit of waiting frames.
	minEntryLimit = 1024
	// entriesPerCharge is how many entries are charged to the budget in one step. A shorter queue, which
	// every client that keeps up has, is not charged at all.
	entriesPerCharge = 256
	// entryBytes is the memory of one entry.
	entryBytes = 16
	// maxPooledEntries is the longest frame list that a pooled queue keeps.
	maxPooledEntries = 64
)

// budget limits the memory of all outbound queues together, and of the large messages that are received or handled. A
// frame that waits in many queues counts once.
type budget struct {
	max  int64
	used atomic.Int64
	// received is the part of used that is charged for received messages.
	received atomic.Int64
}

// exhausted reports whether more than the maximum is used. There is no limit if the maximum is 0.
func (b *budget) exhausted() bool { return b.max > 0 && b.used.Load() > b.max }

// retain counts one more queue that holds the frame. The first one is charged for its bytes.
func (b *budget) retain(f Frame) {
	if f.queues.Add(1) == 1 {
		b.used.Add(int64(len(f.encoded)))
	}
}

// release undoes one retain.
func (b *budget) release(f Frame) {
	if f.queues.Add(-1) == 0 {
		b.used.Add(-int64(len(f.encoded)))
	}
}

// outboundQueue holds the frames that wait to be written to one connection, limited in bytes and in
// frames. It exists while at least one frame waits. The connection's lock guards it.
type outboundQueue struct {
	// waiting holds the frames that are not in a batch yet.
	waiting []Frame
	// writing is the batch that the driver writes.
	writing batch
	// bytes counts the encoded bytes of all frames, those of the batch included.
	bytes int
	// replyBytes counts those of bytes that are replies.
	replyBytes int
	// charged is the number of entries that are charged to the budget.
	charged int
	// spare is the emptied frame list of an earlier batch.
	spare []Frame
	// writable is closed when the queue is writable again, or abandoned. It is nil while no goroutine
	// waits for that.
	writable chan struct{}
}

// batch is a list of frames that the driver writes. It belongs to the driver from nextBatch until
// batchWritten.
type batch struct {
	frames []Frame
	bytes  int
	// last reports that the batch ends with the close frame.
	last bool
	// next is the index of the first frame that is not written completely.
	next int
	// skip is the number of bytes of that frame that are written.
	skip int
}

// isWritten reports whether nothing is left to write.
func (b *batch) isWritten() bool { return b.next == len(b.frames) }

// chunk returns the next bytes to write: as many frames as fit copied into scratch, or the rest of one
// frame without a copy. The chunk is valid until the next call with the same scratch.
func (b *batch) chunk(scratch []byte) []byte {
	first := b.frames[b.next].encoded[b.skip:]
	if b.next == len(b.frames)-1 || len(first) >= cap(scratch) {
		return first
	}
	scratch = append(scratch[:0], first...)
	for _, f := range b.frames[b.next+1:] {
		scratch = append(scratch, f.encoded[:min(len(f.encoded), cap(scratch)-len(scratch))]...)
		if len(scratch) == cap(scratch) {
			break
		}
	}
	return scratch
}

// advance counts n bytes as written.
func (b *batch) advance(n int) {
	for n += b.skip; b.next < len(b.frames) && n >= len(b.frames[b.next].encoded); b.next++ {
		n -= len(b.frames[b.next].encoded)
	}
	b.skip = n
}

var outboundQueuePool = sync.Pool{New: func() any { return &outboundQueue{} }}

// queueLimits are the limits that push checks.
type queueLimits struct {
	bytes  int
	budget *budget
	// writeBlocked reports that the socket's send buffer is full.
	writeBlocked bool
}

// entries returns the maximum number of waiting frames.
func (l queueLimits) entries() int { return max(minEntryLimit, l.bytes/bytesPerEntry) }

// droppedCounts counts dropped messages by DropPolicy.
type droppedCounts [LatestOnly + 1]int

// push appends a frame. Without room for it, push drops messages as their policies allow, the new one
// included. It reports false when there is neither room nor a message to drop. An empty queue accepts a
// frame of any size: otherwise no client could ever receive it.
func (q *outboundQueue) push(f Frame, l queueLimits) (dropped droppedCounts, ok bool) {
	if l.writeBlocked && f.dropPolicy() == LatestOnly {
		dropped[LatestOnly] = q.dropGroup(f.group, l.budget)
	}
	for q.isFull(f, l) {
		policy := q.dropOldest(l.budget)
		if policy == Disconnect {
			// Only the new message can still be dropped.
			dropped[f.dropPolicy()]++
			return dropped, f.dropPolicy() != Disconnect
		}
		dropped[policy]++
	}
	q.add(f, l.budget)
	return dropped, true
}

// isFull reports whether the queue has no room for the frame.
func (q *outboundQueue) isFull(f Frame, l queueLimits) bool {
	switch {
	case q.bytes == 0:
		return false
	case len(q.waiting) >= l.entries() || l.budget.exhausted():
		return true
	case f.reply:
		// The client determines a reply's size. Its handler calls WaitWritable before the next large one.
		return q.replyBytes > l.bytes
	}
	return q.bytes-q.replyBytes+len(f.encoded) > l.bytes
}

// count adds (sign 1) or subtracts (sign -1) a frame's bytes.
func (q *outboundQueue) count(f Frame, sign int) {
	q.bytes += sign * len(f.encoded)
	if f.reply {
		q.replyBytes += sign * len(f.encoded)
	}
}

// isWritable reports whether at most half of the maximum number of bytes waits.
func (q *outboundQueue) isWritable(maxBytes int) bool { return q.bytes <= maxBytes/2 }

// signalWritable wakes the goroutines that wait for the queue to be writable.
func (q *outboundQueue) signalWritable() {
	if q.writable != nil {
		close(q.writable)
		q.writable = nil
	}
}

// add appends a frame without a check of the limits.
func (q *outboundQueue) add(f Frame, b *budget) {
	b.retain(f)
	q.waiting = append(q.waiting, f)
	q.count(f, 1)
	if len(q.waiting)-q.charged >= entriesPerCharge {
		q.charged += entriesPerCharge
		b.used.Add(entriesPerCharge * entryBytes)
	}
}

// dropGroup drops the waiting frames of a group and returns their number.
func (q *outboundQueue) dropGroup(g *DropGroup, b *budget) int {
	kept := q.waiting[:0]
	for _, f := range q.waiting {
		if f.group != g {
			kept = append(kept, f)
			continue
		}
		q.bytes -= len(f.encoded)
		b.release(f)
	}
	dropped := len(q.waiting) - len(kept)
	clear(q.waiting[len(kept):])
	q.waiting = kept
	return dropped
}

// dropOldest drops the oldest waiting frame that its policy allows to drop, and returns this policy. It
// returns Disconnect when there is none.
func (q *outboundQueue) dropOldest(b *budget) DropPolicy {
	i := slices.IndexFunc(q.waiting, func(w Frame) bool { return w.dropPolicy() != Disconnect })
	if i < 0 {
		return Disconnect
	}
	dropped := q.waiting[i]
	q.bytes -= len(dropped.encoded)
	b.release(dropped)
	// Move the few frames in front instead of the many behind.
	copy(q.waiting[1:i+1], q.waiting[:i])
	q.waiting[0] = Frame{}
	q.waiting = q.waiting[1:]
	return dropped.dropPolicy()
}

// discardWaiting discards all frames that are not in a batch.
func (q *outboundQueue) discardWaiting(b *budget) {
	for _, f := range q.waiting {
		q.count(f, -1)
		b.release(f)
	}
	q.refundEntries(b)
	clear(q.waiting)
	q.waiting = q.waiting[:0]
}

// nextBatch moves all waiting frames to the batch and returns it.
func (q *outboundQueue) nextBatch(b *budget) *batch {
	q.refundEntries(b)
	q.writing = batch{frames: q.waiting, bytes: q.bytes}
	q.waiting = q.spare
	q.spare = nil
	return &q.writing
}

// batchWritten removes the frames of the batch.
func (q *outboundQueue) batchWritten(b *budget) {
	for _, f := range q.writing.frames {
		q.count(f, -1)
		b.release(f)
	}
	clear(q.writing.frames)
	q.spare = q.writing.frames[:0]
	q.writing = batch{}
}

// abandon releases the memory of a connection that ended. The driver may still read its batch.
func (q *outboundQueue) abandon(b *budget) {
	q.signalWritable()
	q.discardWaiting(b)
	for _, f := range q.writing.frames {
		b.release(f)
	}
}

// refundEntries undoes the charge for entries.
func (q *outboundQueue) refundEntries(b *budget) {
	if q.charged > 0 {
		b.used.Add(-int64(q.charged) * entryBytes)
		q.charged = 0
	}
}

// isEmpty reports whether no frame waits and no batch is being written.
func (q *outboundQueue) isEmpty() bool { return len(q.waiting) == 0 && len(q.writing.frames) == 0 }

// recycle returns an empty queue to the pool.
func (q *outboundQueue) recycle(b *budget) {
	q.refundEntries(b)
	for _, list := range []*[]Frame{&q.waiting, &q.spare} {
		if cap(*list) > maxPooledEntries {
			*list = nil
		}
	}
	outboundQueuePool.Put(q)
}
