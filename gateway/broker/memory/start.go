package memory

import (
	"sync"
	"sync/atomic"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// start connects the broker to the handler that Run gets. Before that nothing is delivered and no subscription is
// confirmed.
type start struct {
	// handler is nil before Run.
	handler atomic.Pointer[broker.PublicationHandler]

	mu sync.Mutex
	// pending are the subscriptions that wait for Run, by channel.
	pending map[string]func()
}

// deliver hands a publication to the handler. Before Run it drops it: no subscription is confirmed yet.
func (s *start) deliver(channel string, p broker.Publication) {
	if h := s.handler.Load(); h != nil {
		(*h).Deliver(channel, p)
	}
}

// await calls confirmed once there is a handler: at once, or from Run.
func (s *start) await(channel string, confirmed func()) {
	if s.handler.Load() != nil || !s.postpone(channel, confirmed) {
		confirmed()
	}
}

// postpone reports false when Run has come meanwhile.
func (s *start) postpone(channel string, confirmed func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handler.Load() != nil {
		return false
	}
	if s.pending == nil {
		s.pending = map[string]func(){}
	}
	s.pending[channel] = confirmed
	return true
}

// forget drops a subscription that waits for Run.
func (s *start) forget(channel string) {
	if s.handler.Load() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, channel)
}

// run sets the handler and confirms the subscriptions that waited for it.
func (s *start) run(h broker.PublicationHandler) {
	s.mu.Lock()
	s.handler.Store(&h)
	pending := s.pending
	s.pending = nil
	s.mu.Unlock()
	for _, confirmed := range pending {
		confirmed()
	}
}
