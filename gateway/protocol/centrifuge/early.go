package centrifuge

import (
	"sync"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

// early holds back what there is for a client before the answer to its connect: others find it, and its
// channels have messages, while that is made.
type early struct {
	// most is how many bytes it may hold, but for one frame alone; 0: any.
	most int

	mu     sync.Mutex
	frames []transport.Frame
	bytes  int
	over   bool
}

// mostEarly bounds it as well; a client that gets more while it connects is given up like a slow one.
const mostEarly = 1000

// fate is what became of a frame.
type fate int

const (
	// passed: the client knows its channels by now.
	passed fate = iota
	kept
	full
)

func (e *early) keep(f transport.Frame) fate {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.over:
		return passed
	case len(e.frames) == mostEarly, e.most > 0 && e.bytes > 0 && e.bytes+f.Len() > e.most:
		return full
	}
	e.frames = append(e.frames, f)
	e.bytes += f.Len()
	return kept
}

// release sends what was held back, in its order, behind what the caller has queued.
func (c *client) release() {
	e := c.early.Load()
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.frames {
		c.conn.Send(f)
	}
	e.frames, e.over = nil, true
	c.early.Store(nil)
}
