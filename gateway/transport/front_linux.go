package transport

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// HandshakeListener stands before the HTTP server of a port. It takes the connections of l, answers those itself
// whose first request is the handshake of an endpoint, by its pattern (see routes), and hands all others to whoever
// accepts from the listener that it returns. An event loop does it, without a goroutine or a buffer
// for clients that take their time. Only TCP is driven so: any other listener is returned as it is.
func (s *Server) HandshakeListener(l net.Listener, endpoints map[string]*Endpoint) (net.Listener, error) {
	tcp, ok := l.(*net.TCPListener)
	if !ok || s.options.Blocking {
		return l, nil
	}
	on, err := s.loops.pick()
	if err != nil {
		return nil, err
	}
	fd, err := duplicate(tcp)
	if err != nil {
		return nil, err
	}
	// Small frames must not wait for the acknowledgement of earlier ones. Accepted sockets inherit it.
	if err := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		_ = unix.Close(int(fd))
		return nil, fmt.Errorf("set up the listener: %w", err)
	}
	f := &front{Listener: l, server: s, routes: newRoutes(endpoints), loop: on, fd: fd, others: make(chan net.Conn), done: make(chan struct{})}
	f.timer.owner = f
	if err := on.add(f.fd, f, unix.EPOLLIN); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("watch the listener: %w", err)
	}
	return f, nil
}

// front is a listener for what is no handshake.
type front struct {
	net.Listener
	server *Server
	routes *routes
	loop   *loop
	timer  timer
	others chan net.Conn
	done   chan struct{}

	// door is held over every system call on fd.
	door sync.Mutex
	fd   int32

	mu     sync.Mutex
	guests guests
}

// acceptAtOnce bounds how long new connections hold up what the loop has to read.
const acceptAtOnce = 64

// retryAccept is when a front that found no file descriptor tries again.
const retryAccept = 100 * time.Millisecond

// untouched is how long a client has for its request before it may have to make room. Without that, those
// who come back together would send each other away.
const untouched = 250 * time.Millisecond

// readable implements source: somebody is at the door.
func (f *front) readable([]byte) {
	f.door.Lock()
	defer f.door.Unlock()
	for range acceptAtOnce {
		if f.fd == closedFD {
			return
		}
		if f.isTaken() {
			f.pause(tick)
			return
		}
		fd, address, err := unix.Accept4(int(f.fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case err == nil:
			f.welcome(int32(fd), address)
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
			// Whoever has taken longest makes room.
			if !f.makeRoom() {
				f.pause(retryAccept)
				return
			}
		case errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EINTR):
		default:
			return
		}
	}
}

// isTaken tells whether all places are taken by clients that have just come. Who comes now waits in the
// system's queue, and its request with it.
func (f *front) isTaken() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.guests.count >= f.server.options.MaxHandshakes && f.server.wheel.now()-f.guests.oldest.since < untouched
}

// pause leaves whoever is at the door there for a while; the door is held.
func (f *front) pause(lasting time.Duration) {
	_ = f.loop.modify(f.fd, 0)
	f.server.wheel.set(&f.timer, f.server.wheel.now()+lasting)
}

// wake implements waker.
func (f *front) wake(time.Duration) {
	f.door.Lock()
	defer f.door.Unlock()
	if f.fd != closedFD {
		_ = f.loop.modify(f.fd, unix.EPOLLIN)
	}
}

func (f *front) writable() {}

// welcome begins to read a client's request.
func (f *front) welcome(fd int32, address unix.Sockaddr) {
	l, err := f.server.loops.pick()
	if err != nil {
		_ = unix.Close(int(fd))
		return
	}
	g := &guest{front: f, loop: l, fd: fd, address: addrPort(address), since: f.server.wheel.now()}
	g.timer.owner = g
	f.server.wheel.set(&g.timer, g.since+f.server.options.HandshakeTimeout)
	f.mu.Lock()
	f.guests.add(g)
	crowded := f.guests.count > f.server.options.MaxHandshakes
	f.mu.Unlock()
	if crowded {
		f.makeRoom()
	}
	if err := g.watch(); err != nil {
		g.sendAway()
	}
}

// makeRoom sends the oldest away and counts it.
func (f *front) makeRoom() bool {
	sent := f.sendAwayOldest()
	if sent {
		f.server.options.Observer.ConnectionRefused(refusedCrowd)
	}
	return sent
}

// sendAwayOldest closes the connection that has been without a whole request for longest: who opens
// many and says nothing loses them, and does not keep others out.
func (f *front) sendAwayOldest() bool {
	f.mu.Lock()
	g := f.guests.oldest
	f.mu.Unlock()
	if g == nil {
		return false
	}
	g.sendAway()
	return true
}

// Accept implements net.Listener.
func (f *front) Accept() (net.Conn, error) {
	select {
	case c := <-f.others:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Who has not said what it wants is let go.
func (f *front) Close() error {
	f.door.Lock()
	defer f.door.Unlock()
	if f.fd == closedFD {
		return nil
	}
	close(f.done)
	f.server.wheel.clear(&f.timer)
	f.loop.forget(f.fd)
	err := errors.Join(f.Listener.Close(), unix.Close(int(f.fd)))
	f.fd = closedFD
	for f.sendAwayOldest() {
	}
	return err
}
