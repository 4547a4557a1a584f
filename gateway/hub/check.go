package hub

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// checkInterval is how often a stream is looked at, on average, and checkTick how often the hub asks
	// which are due.
	checkInterval = 40 * time.Second
	checkTick     = time.Second
	// checkPatience is how long a message may be on its way before the stream is read in its place.
	checkPatience = time.Second
)

// Run checks streams until the context ends. The hub must not be needed any more then: it repairs
// nothing without it.
func (h *Hub) Run(ctx context.Context) error {
	defer h.crew.stop()
	defer h.end()
	ticker := time.NewTicker(checkTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			for _, t := range h.topics() {
				if t.isDue(now) {
					h.crew.do(t.check)
				}
			}
		}
	}
}

// isDue tells whether it is time to look at a stream. The times are spread, so that the streams of
// clients that came together are not read together.
func (t *topic) isDue(now time.Time) bool {
	if t.rule.History.Size == 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.sequence
	if s.last.Epoch == "" || s.repairing || now.Before(t.due) {
		return false
	}
	first := t.due.IsZero()
	t.due = now.Add(checkInterval/2 + rand.N(checkInterval))
	return !first && t.counted()
}

// counted tells whether any member counts on the stream; the topic is locked.
func (t *topic) counted() (yes bool) {
	t.each(func(o *Subscription) { yes = yes || o.positioned && !o.lost })
	return yes
}

// check compares where the stream is with what was delivered. Deliveries go on meanwhile, and a read
// that fails harms nobody: there will be another.
func (t *topic) check() {
	r, err := t.read(t.hub.life, nil)
	if err != nil {
		return
	}
	switch t.replace(r.mark, r.stream.Top, false) {
	case findingOther, findingBack:
		t.tell()
	case findingSame:
		if t.lacks(r) {
			t.hub.crew.later(checkPatience, func() {
				if t.lacks(r) {
					t.suspect()
				}
			})
		}
	case findingUnsure:
		// The next look will tell.
	}
}

// lacks tells whether something that a read knows of has not gone out.
func (t *topic) lacks(r read) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.sequence
	return s.restarts == r.mark.restarts && s.last.Offset < r.stream.Top.Offset
}
