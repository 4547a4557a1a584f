package transport

import (
	"sync"
	"time"
)

const (
	// tick is the wheel's resolution.
	tick = 50 * time.Millisecond
	// wheelSlots is the number of ticks of one turn, about a minute: the timer of a heartbeat is visited
	// once or twice before it is due.
	wheelSlots = 1024
)

// timingWheel runs the timers of all connections: heartbeats, deadlines and close timeouts. A time.Timer
// for each would need more memory than the rest of an idle connection. A timer fires at most one tick
// late and never early.
type timingWheel struct {
	start time.Time
	stop  chan struct{}
	done  chan struct{}

	// mu guards the fields below, and all timers.
	mu sync.Mutex
	// passed is the number of ticks that are over.
	passed int64
	// slots holds a list of timers for each tick of a turn.
	slots [wheelSlots]*timer
}

// timer is the element of one owner in a slot's list. The wheel's lock guards it.
type timer struct {
	owner      timerOwner
	next, prev *timer
	// due is a tick. It is 0 while the timer is not set.
	due int64
}

// timerOwner is notified when its timer fires, without the wheel's lock. That can happen once more after
// the timer was set again or cleared, so the owner has to compare the time.
type timerOwner interface{ onTimer(now time.Duration) }

// newTimingWheel starts a wheel.
func newTimingWheel() *timingWheel {
	w := &timingWheel{start: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// now returns the time since the wheel started, which is its clock.
func (w *timingWheel) now() time.Duration { return time.Since(w.start) }

// close stops the wheel and waits for its goroutine.
func (w *timingWheel) close() {
	close(w.stop)
	<-w.done
}

func (w *timingWheel) run() {
	defer close(w.done)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var due []timerOwner
	for {
		select {
		case <-w.stop:
			return
		case <-ticker.C:
			now := w.now()
			due = w.advance(now, due[:0])
			for i, owner := range due {
				owner.onTimer(now)
				due[i] = nil
			}
		}
	}
}

// advance moves the wheel to a time, removes the timers that are due, and appends their owners to due.
func (w *timingWheel) advance(to time.Duration, due []timerOwner) []timerOwner {
	w.mu.Lock()
	defer w.mu.Unlock()
	for last := int64(to / tick); w.passed < last; {
		w.passed++
		for t := w.slots[w.passed%wheelSlots]; t != nil; {
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

// set lets the timer fire at a time instead of the one that was set before.
func (w *timingWheel) set(t *timer, at time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.due != 0 {
		w.unlink(t)
	}
	// Round up, and never use the slot of the current tick.
	t.due = max(w.passed+1, int64((at+tick-1)/tick))
	slot := &w.slots[t.due%wheelSlots]
	t.next, t.prev = *slot, nil
	if t.next != nil {
		t.next.prev = t
	}
	*slot = t
}

// clear stops the timer.
func (w *timingWheel) clear(t *timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.due != 0 {
		w.unlink(t)
	}
}

// unlink removes the timer from its slot. The caller holds the lock.
func (w *timingWheel) unlink(t *timer) {
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		w.slots[t.due%wheelSlots] = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev, t.due = nil, nil, 0
}
