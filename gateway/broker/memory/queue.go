package memory

import (
	"iter"
	"time"
)

// queue is a heap of members: the one that expires first is its first. It is not a heap.Interface, and has the times
// beside the members, because a channel may have thousands that come and go together: comparing two of them must not
// read both from memory.
type queue []entry

// entry is a member's place in a queue.
type entry struct {
	// until is when the member expires, on the broker's clock.
	until  time.Duration
	member *member
}

// push adds a member that expires at a time.
func (q *queue) push(m *member, until time.Duration) {
	*q = append(*q, entry{})
	q.up(len(*q)-1, entry{until, m})
}

// set changes the time at which the member at an index expires.
func (q queue) set(i int, until time.Duration) {
	q.place(i, entry{until, q[i].member})
}

// remove removes the member at an index.
func (q *queue) remove(i int) {
	last := len(*q) - 1
	moved := (*q)[last]
	(*q)[last] = entry{}
	*q = (*q)[:last]
	if i < last {
		q.place(i, moved)
	}
}

// place puts an entry where it belongs. The one at the index is gone.
func (q queue) place(i int, e entry) {
	if i > 0 && e.until < q[(i-1)/2].until {
		q.up(i, e)
	} else {
		q.down(i, e)
	}
}

// up puts an entry at an index or above it, and moves those down that expire later.
func (q queue) up(i int, e entry) {
	for i > 0 {
		parent := (i - 1) / 2
		if q[parent].until <= e.until {
			break
		}
		q.put(i, q[parent])
		i = parent
	}
	q.put(i, e)
}

// down puts an entry at an index or below it, and moves those up that expire earlier.
func (q queue) down(i int, e entry) {
	for {
		child := 2*i + 1
		if child >= len(q) {
			break
		}
		if child+1 < len(q) && q[child+1].until < q[child].until {
			child++
		}
		if e.until <= q[child].until {
			break
		}
		q.put(i, q[child])
		i = child
	}
	q.put(i, e)
}

// put puts an entry at an index.
func (q queue) put(i int, e entry) {
	q[i] = e
	e.member.index = int32(i)
}

// over returns the members that have expired. In a heap there is none below a member that has not.
func (q queue) over(now time.Duration) iter.Seq[*member] {
	return func(yield func(*member) bool) {
		q.overFrom(0, now, yield)
	}
}

func (q queue) overFrom(i int, now time.Duration, yield func(*member) bool) bool {
	if i >= len(q) || q[i].until > now {
		return true
	}
	return yield(q[i].member) && q.overFrom(2*i+1, now, yield) && q.overFrom(2*i+2, now, yield)
}
