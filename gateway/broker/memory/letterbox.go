package memory

import (
	"sync"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// letterbox hands messages over in their order, and on a goroutine of its own: who posts one may hold
// a lock that who hears it wants.
type letterbox struct {
	heard broker.Heard

	mu      sync.Mutex
	waiting [][]byte
	// emptying is true while a goroutine does.
	emptying bool
}

func (l *letterbox) post(message []byte) {
	if l.heard == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, message)
	if !l.emptying {
		l.emptying = true
		go l.empty()
	}
}

func (l *letterbox) empty() {
	for {
		l.mu.Lock()
		letters := l.waiting
		l.waiting = nil
		l.emptying = len(letters) > 0
		l.mu.Unlock()
		if len(letters) == 0 {
			return
		}
		for _, message := range letters {
			l.heard(message)
		}
	}
}
