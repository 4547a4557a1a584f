package hooks

import (
	"slices"
	"sync"
)

// queue is the events that nobody has taken over yet. A full one keeps what it has: what came first
// explains what comes later.
type queue struct {
	most int
	// wake holds one token at most: there is something new.
	wake chan struct{}

	mu     sync.Mutex
	events []Event
	// sending counts events that were taken and may still be lost.
	sending int
	closed  bool
}

func newQueue(most int) *queue { return &queue{most: most, wake: make(chan struct{}, 1)} }

// push returns why an event was not queued, or nothing.
func (q *queue) push(e Event) (reason string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return DropShutdown
	case len(q.events)+q.sending >= q.most:
		return DropQueueFull
	}
	q.events = append(q.events, e)
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return ""
}

// take moves up to n events to the sender, who says sent when it is through with them.
func (q *queue) take(n int) []Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(n, len(q.events))
	taken := slices.Clone(q.events[:n])
	q.events = slices.Delete(q.events, 0, n)
	q.sending += n
	return taken
}

func (q *queue) sent(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sending -= n
}

func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.events)
}

func (q *queue) pending() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.events) + q.sending
}

// close lets nothing more in, and forgets what is there and what was not sent. It returns how many
// that are.
func (q *queue) close() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	lost := len(q.events) + q.sending
	q.events, q.sending, q.closed = nil, 0, true
	return lost
}
