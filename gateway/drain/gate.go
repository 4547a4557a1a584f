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
	// shut reports that the gate is closed for good.
	shut bool
}

// NewGate returns an open gate.
func NewGate() *Gate { return &Gate{changed: make(chan struct{}, 1)} }

// Accepting reports whether new connections are accepted: while the gateway serves and during the propagation delay,
// when load balancers still send clients.
func (g *Gate) Accepting() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.shut && (g.closesAt.IsZero() || time.Now().Before(g.closesAt))
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

// closeAt sets the time from which no connection is accepted. The zero time opens the gate again.
func (g *Gate) closeAt(t time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closesAt = t
}
