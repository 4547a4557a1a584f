package fleet

import (
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Set is a set of fleets. Its zero value is empty. Its methods may be called by several goroutines at once.
type Set struct {
	// mu guards members.
	mu      sync.Mutex
	members map[client.ObjectKey]bool
}

// Add adds a fleet, and reports whether it was not there.
func (s *Set) Add(fleet client.ObjectKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.members[fleet] {
		return false
	}
	if s.members == nil {
		s.members = map[client.ObjectKey]bool{}
	}
	s.members[fleet] = true
	return true
}

// Remove removes a fleet.
func (s *Set) Remove(fleet client.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.members, fleet)
}

// Len returns the number of fleets.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.members)
}
