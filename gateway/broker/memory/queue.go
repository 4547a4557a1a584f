package memory

import (
	"iter"
	"time"
)

// queue implements heap.Interface over members, by when they expire.
type queue []*member

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].until < q[j].until }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = int32(i), int32(j)
}

func (q *queue) Push(x any) {
	m, _ := x.(*member)
	m.index = int32(len(*q))
	*q = append(*q, m)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	m := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return m
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
	return yield(q[i]) && q.overFrom(2*i+1, now, yield) && q.overFrom(2*i+2, now, yield)
}
