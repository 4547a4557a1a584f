package load

import "sync"

// window is a closed loop: so many publications are in flight, and one is done when every subscriber
// has it.
type window struct {
	// free are the places of publications that are done.
	free chan struct{}
	// ours says whether a publisher lives in this process.
	ours func(publisher int) bool

	mu sync.Mutex
	// flying is how many deliveries each publication in flight is short of.
	flying map[publication]int
	// away are deliveries of publications that other processes wait for.
	away  map[publication]int
	awake chan struct{}
}

// newWindow is a process's share of a window, which may be nothing.
func newWindow(size int, ours func(int) bool) *window {
	w := &window{
		free:   make(chan struct{}, size),
		ours:   ours,
		flying: map[publication]int{},
		away:   map[publication]int{},
		awake:  make(chan struct{}, 1),
	}
	for range size {
		w.free <- struct{}{}
	}
	return w
}

// fly notes a publication before it is sent; its place was taken from free.
func (w *window) fly(p publication, subscribers int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flying[p] = subscribers
}

// delivered takes deliveries into account.
func (w *window) delivered(got []gotten) {
	w.mu.Lock()
	defer w.mu.Unlock()
	away := false
	for _, g := range got {
		if !w.ours(int(g.Publication.Publisher)) {
			w.away[g.Publication] += g.Deliveries
			away = true
			continue
		}
		left, flies := w.flying[g.Publication]
		if !flies {
			continue
		}
		if left -= g.Deliveries; left > 0 {
			w.flying[g.Publication] = left
			continue
		}
		w.land(g.Publication)
	}
	if away {
		select {
		case w.awake <- struct{}{}:
		default:
		}
	}
}

// cancel ends the flight of a publication that the server refused.
func (w *window) cancel(p publication) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, flies := w.flying[p]; flies {
		w.land(p)
	}
}

func (w *window) land(p publication) {
	delete(w.flying, p)
	w.free <- struct{}{}
}

// inFlight is how many publications somebody still waits for.
func (w *window) inFlight() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.flying)
}

// takeAway returns what other processes wait for.
func (w *window) takeAway() []gotten {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]gotten, 0, len(w.away))
	for p, n := range w.away {
		all = append(all, gotten{p, n})
	}
	clear(w.away)
	return all
}
