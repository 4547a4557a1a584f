package load

import "sync"

// window bounds the publications in flight of a closed loop. A publication is complete when every subscriber has it.
type window struct {
	// slots has an element for each publication that may be sent now.
	slots chan struct{}
	// owns reports whether a publisher lives in this process.
	owns func(publisher int) bool

	// mu guards the fields below.
	mu sync.Mutex
	// missing is the number of deliveries that each publication in flight still lacks.
	missing map[publication]int
	// remote counts deliveries of publications whose publishers live in other processes.
	remote map[publication]int
	// remoteReady receives when remote has become non-empty.
	remoteReady chan struct{}
}

// newWindow returns one process's share of the window: size publications, which may be 0.
func newWindow(size int, owns func(int) bool) *window {
	w := &window{
		slots:       make(chan struct{}, size),
		owns:        owns,
		missing:     map[publication]int{},
		remote:      map[publication]int{},
		remoteReady: make(chan struct{}, 1),
	}
	for range size {
		w.slots <- struct{}{}
	}
	return w
}

// start notes a publication before it is sent. The caller has received from slots.
func (w *window) start(p publication, subscribers int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.missing[p] = subscribers
}

// delivered subtracts deliveries from what the publications in flight lack.
func (w *window) delivered(got []deliveryCount) {
	w.mu.Lock()
	defer w.mu.Unlock()
	remote := false
	for _, g := range got {
		if !w.owns(int(g.Publication.Publisher)) {
			w.remote[g.Publication] += g.Deliveries
			remote = true
			continue
		}
		remaining, known := w.missing[g.Publication]
		if !known {
			continue
		}
		if remaining -= g.Deliveries; remaining > 0 {
			w.missing[g.Publication] = remaining
			continue
		}
		w.finish(g.Publication)
	}
	if remote {
		select {
		case w.remoteReady <- struct{}{}:
		default:
		}
	}
}

// cancel completes a publication that the server refused.
func (w *window) cancel(p publication) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.missing[p]; known {
		w.finish(p)
	}
}

// finish completes a publication. The caller holds mu.
func (w *window) finish(p publication) {
	delete(w.missing, p)
	w.slots <- struct{}{}
}

// inFlightCount returns the number of publications that lack deliveries.
func (w *window) inFlightCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.missing)
}

// takeRemote returns and clears the deliveries that other processes wait for.
func (w *window) takeRemote() []deliveryCount {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]deliveryCount, 0, len(w.remote))
	for p, n := range w.remote {
		all = append(all, deliveryCount{p, n})
	}
	clear(w.remote)
	return all
}
