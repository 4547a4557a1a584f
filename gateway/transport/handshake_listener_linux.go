package transport

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// HandshakeListener returns a listener for the HTTP server of a port. It accepts the connections of l and
// answers those whose first request is the handshake of an endpoint. The map's keys are patterns, see
// routes. The HTTP server accepts all other connections. An event loop does this, without a goroutine or a
// buffer for a client that is slow to send its request. A listener that is not TCP is returned as it is.
// The error is that of the system call which failed.
func (s *Server) HandshakeListener(l net.Listener, endpoints map[string]*Endpoint) (net.Listener, error) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return l, nil
	}
	if s.options.Blocking {
		return s.proxiedListener(l), nil
	}
	loop, err := s.loops.pick()
	if err != nil {
		return nil, err
	}
	fd, err := duplicate(tcp)
	if err != nil {
		return nil, err
	}
	// Small frames must not wait for the acknowledgement of earlier ones. Accepted sockets inherit this.
	if err := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		_ = unix.Close(int(fd))
		return nil, fmt.Errorf("set up the listener: %w", err)
	}
	h := &handshakeListener{
		Listener:  l,
		server:    s,
		routes:    newRoutes(endpoints),
		loop:      loop,
		fd:        fd,
		httpConns: make(chan net.Conn),
		done:      make(chan struct{}),
	}
	h.timer.owner = h
	if err := loop.add(h.fd, h, unix.EPOLLIN); err != nil {
		_ = h.Close()
		return nil, fmt.Errorf("watch the listener: %w", err)
	}
	return h, nil
}

// handshakeListener accepts the connections of a port and answers handshakes. It is the listener of the
// HTTP server for all other requests.
type handshakeListener struct {
	net.Listener
	server *Server
	routes *routes
	loop   *eventLoop
	// timer ends a pause of accepting.
	timer timer
	// httpConns passes connections to the HTTP server.
	httpConns chan net.Conn
	done      chan struct{}

	// fdMu is held over each system call on fd.
	fdMu sync.Mutex
	fd   int32

	// mu guards pending.
	mu      sync.Mutex
	pending pendingList
}

// maxAcceptsPerEvent limits how long new connections delay what the loop has to read.
const maxAcceptsPerEvent = 64

// acceptRetryDelay is how long accepting pauses when the process has no file descriptor left.
const acceptRetryDelay = 100 * time.Millisecond

// minPendingTime is how long a client has for its request before it can be evicted for another one.
// Otherwise clients that reconnect together would evict each other.
const minPendingTime = 250 * time.Millisecond

// readable implements fdHandler. It accepts connections.
func (h *handshakeListener) readable([]byte) {
	h.fdMu.Lock()
	defer h.fdMu.Unlock()
	for range maxAcceptsPerEvent {
		if h.fd == closedFD {
			return
		}
		if h.isFull() {
			h.pauseAccepting(tick)
			return
		}
		fd, address, err := unix.Accept4(int(h.fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case err == nil:
			h.addPending(int32(fd), address)
		case isOutOfResources(err):
			// What a connection that ends is about to release is as good.
			if h.server.admission.hasEnding() || !h.mayEvict() || !h.evictOldest() {
				h.pauseAccepting(acceptRetryDelay)
				return
			}
		case errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EINTR):
		default:
			return
		}
	}
}

// isOutOfResources reports whether a closed connection may make accepting possible.
func isOutOfResources(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) ||
		errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM)
}

// isFull reports whether MaxHandshakes connections are pending and none may be evicted yet. New
// connections then wait in the system's accept queue.
func (h *handshakeListener) isFull() bool {
	h.mu.Lock()
	tooMany := h.pending.count >= h.server.options.MaxHandshakes
	h.mu.Unlock()
	return tooMany && !h.mayEvict()
}

// mayEvict reports whether the oldest pending connection may be evicted: its client had minPendingTime, and has sent
// nothing that the gateway has not come to read.
func (h *handshakeListener) mayEvict() bool {
	h.mu.Lock()
	p := h.pending.oldest
	h.mu.Unlock()
	return p != nil && h.server.wheel.now()-p.since >= minPendingTime && !p.isUnread()
}

// pauseAccepting leaves new connections in the accept queue for some time. The caller holds fdMu.
func (h *handshakeListener) pauseAccepting(d time.Duration) {
	_ = h.loop.modify(h.fd, 0)
	h.server.wheel.set(&h.timer, h.server.wheel.now()+d)
}

// onTimer implements timerOwner. It resumes accepting.
func (h *handshakeListener) onTimer(time.Duration) {
	h.fdMu.Lock()
	defer h.fdMu.Unlock()
	if h.fd != closedFD {
		_ = h.loop.modify(h.fd, unix.EPOLLIN)
	}
}

// writable implements fdHandler.
func (h *handshakeListener) writable() {}

// addPending begins to read the request of a new connection.
func (h *handshakeListener) addPending(fd int32, address unix.Sockaddr) {
	loop, err := h.server.loops.pick()
	if err != nil {
		_ = unix.Close(int(fd))
		return
	}
	p := &pendingConn{
		listener: h,
		loop:     loop,
		fd:       fd,
		address:  addrPort(address),
		since:    h.server.wheel.now(),
	}
	p.timer.owner = p
	h.server.wheel.set(&p.timer, p.since+h.server.options.HandshakeTimeout)
	h.mu.Lock()
	h.pending.add(p)
	tooMany := h.pending.count > h.server.options.MaxHandshakes
	h.mu.Unlock()
	if tooMany {
		h.evictOldest()
	}
	if err := p.register(); err != nil {
		p.close()
	}
}

// evictOldest closes the oldest pending connection and counts it as refused. It reports whether there was
// one. A client that opens many connections and sends nothing loses them, and keeps no other client out.
func (h *handshakeListener) evictOldest() bool {
	evicted := h.closeOldest()
	if evicted {
		h.server.options.Observer.ConnectionRefused(refusedCrowd)
	}
	return evicted
}

// closeOldest closes the oldest pending connection, and reports whether there was one.
func (h *handshakeListener) closeOldest() bool {
	h.mu.Lock()
	p := h.pending.oldest
	h.mu.Unlock()
	if p == nil {
		return false
	}
	p.close()
	return true
}

// Accept implements net.Listener for the HTTP server. It returns net.ErrClosed after Close.
func (h *handshakeListener) Accept() (net.Conn, error) {
	select {
	case c := <-h.httpConns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It closes the pending connections too, and returns the errors of closing
// the socket. A second call returns nil.
func (h *handshakeListener) Close() error {
	h.fdMu.Lock()
	defer h.fdMu.Unlock()
	if h.fd == closedFD {
		return nil
	}
	close(h.done)
	h.server.wheel.clear(&h.timer)
	h.loop.forget(h.fd)
	err := errors.Join(h.Listener.Close(), unix.Close(int(h.fd)))
	h.fd = closedFD
	for h.closeOldest() {
	}
	return err
}
