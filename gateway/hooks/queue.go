package hooks

import (
	"slices"
	"sync"
)

// queue holds the events that the receiver has not accepted yet. A full queue refuses new events and keeps the old
// ones: earlier events explain later ones.
type queue struct {
	// capacity is the maximum number of events, those that are being sent included.
	capacity int
	// wake holds at most one token, which means that there are new events.
	wake chan struct{}

	// mu guards the fields below.
	mu     sync.Mutex
	events []Event
	// sending is the number of events that were taken and not sent yet.
	sending int
	closed  bool
}

// newQueue returns an empty queue for up to capacity events.
func newQueue(capacity int) *queue { return &queue{capacity: capacity, wake: make(chan struct{}, 1)} }

// push adds an event. It returns one of the Drop constants when it refuses the event, or an empty string.
func (q *queue) push(e Event) (reason string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return DropShutdown
	case len(q.events)+q.sending >= q.capacity:
		return DropQueueFull
	}
	q.events = append(q.events, e)
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return ""
}

// take removes and returns up to n events. The caller must call sent when it has finished with them.
func (q *queue) take(n int) []Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(n, len(q.events))
	taken := slices.Clone(q.events[:n])
	q.events = slices.Delete(q.events, 0, n)
	q.sending += n
	return taken
}

// sent says that n taken events are finished.
func (q *queue) sent(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sending -= n
}

// waiting returns the number of events that were not taken.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.events)
}

// pending returns the number of events that are not finished.
func (q *queue) pending() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.events) + q.sending
}

// close refuses all events from now on and drops those that are not finished. It returns their number.
func (q *queue) close() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	lost := len(q.events) + q.sending
	q.events, q.sending, q.closed = nil, 0, true
	return lost
}
