package transport

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// heldSocket is a socket whose refusal is held back. It needs no goroutine: the timing wheel answers it, and the event
// loop notices that the client has left.
type heldSocket struct {
	server   *Server
	loop     *eventLoop
	response []byte
	timer    timer
	refusal  heldRefusal

	// mu is held over each system call on fd, and guards it.
	mu sync.Mutex
	fd int32
}

// holdSocket answers a socket after a delay. It owns the socket. A client whose refusal cannot be held is answered at
// once.
func (s *Server) holdSocket(loop *eventLoop, fd int32, response []byte, delay time.Duration) {
	h := &heldSocket{server: s, loop: loop, fd: fd, response: response}
	h.timer.owner = h
	if delay == 0 || !s.held.add(&h.refusal, s.maxHeld(), h.answer) {
		h.answer()
		return
	}
	s.wheel.set(&h.timer, s.wheel.now()+delay)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fd != closedFD {
		// Without the event the socket is closed when its time comes.
		_ = loop.add(fd, h, unix.EPOLLRDHUP|unix.EPOLLONESHOT)
	}
}

// onTimer implements timerOwner.
func (h *heldSocket) onTimer(time.Duration) { h.answer() }

// readable implements fdHandler: the client has left.
func (h *heldSocket) readable([]byte) { h.end(nil) }

// writable implements fdHandler.
func (h *heldSocket) writable() {}

// answer sends the response and closes the socket.
func (h *heldSocket) answer() { h.end(h.response) }

// end sends a last response, which may be empty, and closes the socket. A second call does nothing.
func (h *heldSocket) end(response []byte) {
	h.mu.Lock()
	if h.fd != closedFD {
		if len(response) > 0 {
			// The gateway does not wait for a client that does not read.
			_, _ = unix.Write(int(h.fd), response)
		}
		h.loop.forget(h.fd)
		_ = unix.Close(int(h.fd))
		h.fd = closedFD
	}
	h.mu.Unlock()
	h.server.wheel.clear(&h.timer)
	h.server.held.remove(&h.refusal)
}
