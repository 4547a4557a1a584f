package transport

// queue is what waits to be written to one connection, bounded in bytes. Its owner locks it.
type queue struct {
	max int
	// waiting has not been taken by the writer yet.
	waiting [][]byte
	// bytes counts waiting and what the writer holds.
	bytes int
	spare [][]byte
}

// push adds a frame unless the bound is passed. A single frame above the bound is let through when
// nothing else waits: no client could be fast enough for it otherwise.
func (q *queue) push(f Frame) bool {
	if q.bytes > 0 && q.bytes+len(f.wire) > q.max {
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

// take hands everything that waits to the writer.
func (q *queue) take() [][]byte {
	batch := q.waiting
	q.waiting, q.spare = q.spare[:0], nil
	return batch
}

// written gives a batch back after n bytes of it went out.
func (q *queue) written(batch [][]byte, n int) {
	q.bytes -= n
	clear(batch)
	if cap(batch) <= keepFrames {
		q.spare = batch[:0]
	}
}

// keepFrames bounds the memory that an idle connection keeps of a busy past.
const keepFrames = 16
