package drain

import (
	"sync"
	"time"
)

// Gate connects a Machine with the server of its connections, which is made before the Machine: the server asks the
// gate whether to accept a connection and notifies it of connections that ended. It is safe for concurrent use.
type Gate struct {
	// changed holds at most one token, which means that a connection ended.
	changed chan struct{}

	// mu guards the fields below.
	mu sync.Mutex
	// closesAt is the time from which no connection is accepted. It is zero while the gateway serves.
	closesAt time.Time
	// anotherServes reports that another gateway served when this one handed its clients over.
	anotherServes bool
	// draining reports that a drain is under way or over.
	draining bool
	// asked is the time of the last handshake in a drain.
	asked time.Time
	// shut reports that the gate is closed for good.
	shut bool
}

// NewGate returns an open gate.
func NewGate() *Gate { return &Gate{changed: make(chan struct{}, 1)} }

// Accepting reports whether a new connection is accepted: while the gateway serves, and in a drain as long as load
// balancers may still send clients, or no other gateway serves.
func (g *Gate) Accepting() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if g.draining {
		g.asked = now
	}
	return !g.shut && (g.closesAt.IsZero() || now.Before(g.closesAt))
}

// Serving reports whether the gateway neither drains nor ends.
func (g *Gate) Serving() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.shut && !g.draining
}

// Notify tells the machine that a connection ended. It does not block.
func (g *Gate) Notify() {
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// Shut closes the gate for good.
func (g *Gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
}

// setDraining notes that a drain begins, in which connections are accepted until closeAt, or that it is undone.
func (g *Gate) setDraining(draining bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.draining, g.closesAt, g.anotherServes = draining, time.Time{}, false
}

// setAnotherServes notes that another gateway serves by now.
func (g *Gate) setAnotherServes() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.anotherServes = true
}

// closeAt sets the time from which no connection is accepted. anotherServes reports that another gateway does.
func (g *Gate) closeAt(t time.Time, anotherServes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closesAt, g.anotherServes = t, anotherServes
}

// AnotherServes reports whether this gateway has handed its clients over to another one that serves.
func (g *Gate) AnotherServes() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.anotherServes
}

// lastAsked returns the time of the last handshake in a drain, or the zero time.
func (g *Gate) lastAsked() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked
}
