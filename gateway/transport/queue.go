package transport

// A frame that waits costs memory beside its bytes, which counts for small ones: there may be one for
// every so many bytes of the bound, but at least a few.
const (
	bytesPerEntry = 64
	leastEntries  = 1024
)

// queue is what waits to be written to one connection, bounded in bytes and in frames. Its owner
// locks it.
type queue struct {
	max int
	// waiting has not been taken by the writer yet.
	waiting [][]byte
	// bytes counts waiting and what the writer holds.
	bytes int
}

// push adds a frame unless a bound is passed. A single frame above the bound is let through when
// nothing else waits: no client could be fast enough for it otherwise.
func (q *queue) push(f Frame) bool {
	if q.bytes > 0 && q.bytes+len(f.wire) > q.max || len(q.waiting) >= max(leastEntries, q.max/bytesPerEntry) {
		return false
	}
	q.force(f)
	return true
}

// force adds a frame whatever waits; for close frames.
func (q *queue) force(f Frame) {
	q.waiting = append(q.waiting, f.wire)
	q.bytes += len(f.wire)
}

// drop forgets what the writer has not taken.
func (q *queue) drop() {
	for _, b := range q.waiting {
		q.bytes -= len(b)
	}
	clear(q.waiting)
	q.waiting = q.waiting[:0]
}

// take hands everything that waits to the writer. An idle queue holds no memory.
func (q *queue) take() [][]byte {
	batch := q.waiting
	q.waiting = nil
	return batch
}

// written counts n bytes of a batch as gone.
func (q *queue) written(n int) { q.bytes -= n }

func size(batch [][]byte) int {
	n := 0
	for _, b := range batch {
		n += len(b)
	}
	return n
}
