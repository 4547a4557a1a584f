package memory

import (
	"sync"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// letterbox delivers messages in their order, in a goroutine of its own: the sender may hold a lock that the handler
// takes.
type letterbox struct {
	mu sync.Mutex
	// handler takes the messages; nil before Run, and for a gateway that listens to none.
	handler broker.MessageHandler
	waiting [][]byte
	// emptying is true while a goroutine delivers waiting messages.
	emptying bool
}

// listen sets the handler of the messages that are posted from now on.
func (l *letterbox) listen(h broker.MessageHandler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handler = h
}

func (l *letterbox) post(message []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.handler == nil {
		return
	}
	l.waiting = append(l.waiting, message)
	if !l.emptying {
		l.emptying = true
		go l.empty()
	}
}

func (l *letterbox) empty() {
	for {
		l.mu.Lock()
		letters, handler := l.waiting, l.handler
		l.waiting = nil
		l.emptying = len(letters) > 0
		l.mu.Unlock()
		if len(letters) == 0 {
			return
		}
		for _, message := range letters {
			handler.OnMessage(message)
		}
	}
}
