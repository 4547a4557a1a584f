package redis

import "sync"

// loss tells goroutines that wait for Redis that it is known to be out of reach.
type loss struct {
	// mu guards the fields below.
	mu   sync.Mutex
	lost bool
	// signal is closed while lost is true.
	signal chan struct{}
}

func newLoss() *loss { return &loss{signal: make(chan struct{})} }

// set records whether Redis is out of reach.
func (l *loss) set(lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case lost == l.lost:
		return
	case lost:
		close(l.signal)
	default:
		l.signal = make(chan struct{})
	}
	l.lost = lost
}

// c returns a channel that is closed as soon as Redis is out of reach.
func (l *loss) c() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.signal
}
