package transport

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A refusal that is answered at once brings the client back at once: libraries for WebSocket do not look at
// Retry-After, and many reconnect without a pause. One that is held back paces all of them. Held refusals are bounded
// in number; those beyond are answered at once.

// refusalDelay returns how long the refusal of a handshake is held back.
func (s *Server) refusalDelay(r *http.Request, refusal *Refusal) time.Duration {
	longest := s.options.RefusalDelay
	switch {
	case longest == 0, refusal.RetryAfter == 0:
		return 0
	case refusal.AnotherServes && s.comesThroughProxy(r):
		return 0
	}
	// At different times, so that the clients do not come back together.
	return longest/2 + rand.N(longest/2+1)
}

// comesThroughProxy reports whether a proxy handed the request on, which can try another gateway: it is a trusted one,
// or the client has the affinity cookie.
func (s *Server) comesThroughProxy(r *http.Request) bool {
	if s.options.Proxies.trusts(peerIP(r.RemoteAddr)) {
		return true
	}
	if s.options.Affinity == nil {
		return false
	}
	_, err := r.Cookie(s.options.Affinity.Name)
	return err == nil
}

// maxHeld returns how many refusals may be held now in sockets of their own: as many as there may be handshakes, and
// one for each place of a connection that no client takes before the refusal is answered.
func (s *Server) maxHeld() int {
	o := &s.options
	// A second's worth may come at once. Without a rate, clients may take all places at once.
	taken := o.MaxConnections
	if o.ConnectRate > 0 {
		taken = int(float64(o.ConnectRate) * (1 + o.RefusalDelay.Seconds()))
	}
	return o.MaxHandshakes + max(0, s.admission.free()-taken)
}

// heldRefusals are the refusals that are held back.
type heldRefusals struct {
	// mu guards the fields below.
	mu sync.Mutex
	// held holds a function for each refusal that answers it now, and may be called twice.
	held map[*heldRefusal]func()
	// closed reports that none is held any more.
	closed bool
}

// heldRefusal identifies a refusal that is held back.
type heldRefusal struct{ _ byte }

func newHeldRefusals() *heldRefusals {
	return &heldRefusals{held: map[*heldRefusal]func(){}}
}

// add adds a refusal that answer answers, and reports false when as many as limit are held.
func (h *heldRefusals) add(r *heldRefusal, limit int, answer func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.held) >= limit {
		return false
	}
	h.held[r] = answer
	return true
}

// remove removes a refusal. It does nothing for one that is not held.
func (h *heldRefusals) remove(r *heldRefusal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.held, r)
}

// count returns the number of refusals that are held.
func (h *heldRefusals) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.held)
}

// releaseAll answers all refusals now, and lets none be held any more.
func (h *heldRefusals) releaseAll() {
	h.mu.Lock()
	h.closed = true
	answers := slices.Collect(maps.Values(h.held))
	h.mu.Unlock()
	for _, answer := range answers {
		answer()
	}
}

// wait holds a refusal in the calling goroutine for some time, or until the client is gone. It returns at once when as
// many as limit are held.
func (h *heldRefusals) wait(gone <-chan struct{}, limit int, delay time.Duration) {
	r, released := &heldRefusal{}, make(chan struct{})
	if delay == 0 || !h.add(r, limit, sync.OnceFunc(func() { close(released) })) {
		return
	}
	defer h.remove(r)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-released:
	case <-gone:
	}
}
