package memory

import (
	"sync"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// messageQueue delivers messages in their order, in a goroutine of its own: the sender may hold a lock that the handler
// takes.
type messageQueue struct {
	// mu guards the fields below.
	mu sync.Mutex
	// handler takes the messages; nil before Run, and for a gateway that takes none.
	handler broker.MessageHandler
	waiting [][]byte
	// delivering is true while a goroutine delivers waiting messages.
	delivering bool
}

// setHandler sets the handler of the messages that are queued from now on.
func (q *messageQueue) setHandler(h broker.MessageHandler) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.handler = h
}

// enqueue queues a message. It drops the message when there is no handler.
func (q *messageQueue) enqueue(message []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.handler == nil {
		return
	}
	q.waiting = append(q.waiting, message)
	if !q.delivering {
		q.delivering = true
		go q.deliver()
	}
}

// deliver calls the handler until no message waits.
func (q *messageQueue) deliver() {
	for {
		q.mu.Lock()
		messages, handler := q.waiting, q.handler
		q.waiting = nil
		q.delivering = len(messages) > 0
		q.mu.Unlock()
		if len(messages) == 0 {
			return
		}
		for _, message := range messages {
			handler.OnMessage(message)
		}
	}
}
