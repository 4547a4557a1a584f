package transport

import (
	"sync"
	"time"
)

// The wheel's resolution, and how many ticks one turn of it has: about a minute, so that a heartbeat
// is looked at once or twice before it is due.
const (
	tick  = 50 * time.Millisecond
	slots = 1024
)

// wheel wakes connections at their times: heartbeats, deadlines and closes that nobody answers. A
// timer each would cost more memory than the rest of an idle connection. What is due is woken at
// most a tick late, and never early.
type wheel struct {
	start time.Time
	stop  chan struct{}
	done  chan struct{}

	mu sync.Mutex
	// passed counts ticks.
	passed int64
	slots  [slots]*timer
}

// timer is one connection's place on the wheel: a link in a slot's list. The wheel's lock guards it.
type timer struct {
	owner      waker
	next, prev *timer
	// due is a tick; 0 is a timer that is not set.
	due int64
}

// waker is whom a timer wakes. It may be woken once more after it has set its timer anew or stopped
// it, so it looks at the time itself.
type waker interface{ wake(now time.Duration) }

func newWheel() *wheel {
	w := &wheel{start: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// now is the wheel's clock: the time since it was made.
func (w *wheel) now() time.Duration { return time.Since(w.start) }

func (w *wheel) close() {
	close(w.stop)
	<-w.done
}

func (w *wheel) run() {
	defer close(w.done)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var due []waker
	for {
		select {
		case <-w.stop:
			return
		case <-ticker.C:
			now := w.now()
			due = w.advance(now, due[:0])
			for i, owner := range due {
				owner.wake(now)
				due[i] = nil
			}
		}
	}
}

// advance moves the wheel to a time and takes off who is due.
func (w *wheel) advance(to time.Duration, due []waker) []waker {
	w.mu.Lock()
	defer w.mu.Unlock()
	for last := int64(to / tick); w.passed < last; {
		w.passed++
		for t := w.slots[w.passed%slots]; t != nil; {
			next := t.next
			if t.due <= w.passed {
				w.unlink(t)
				due = append(due, t.owner)
			}
			t = next
		}
	}
	return due
}

// set wakes the owner at a time, and no more at the one set before.
func (w *wheel) set(t *timer, at time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.due != 0 {
		w.unlink(t)
	}
	// Rounded up, and never into the slot that is being looked at.
	t.due = max(w.passed+1, int64((at+tick-1)/tick))
	slot := &w.slots[t.due%slots]
	t.next, t.prev = *slot, nil
	if t.next != nil {
		t.next.prev = t
	}
	*slot = t
}

// clear forgets a timer.
func (w *wheel) clear(t *timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.due != 0 {
		w.unlink(t)
	}
}

func (w *wheel) unlink(t *timer) {
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		w.slots[t.due%slots] = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev, t.due = nil, nil, 0
}
