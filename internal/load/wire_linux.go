package load

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// poller reads the sockets of a shard's clients with epoll: a delivery costs a read and a share of an
// epoll_wait, no goroutine switch.
type poller struct {
	shard *shard
	fd    int
	// wires are by file descriptor; the shard's lock guards them.
	wires map[int32]*pollWire
	done  chan struct{}
	ended chan struct{}
}

const (
	eventsAtOnce = 128
	pollBuffer   = 64 << 10
	// pollMilliseconds is how soon a poller notices its end.
	pollMilliseconds = 100
	closedFD         = -1
	// mostUnsent is what may wait for a server that does not read: more than a window needs.
	mostUnsent = 16 << 20
)

var errFull = errors.New("the server does not read what is published")

func newPoller(s *shard) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	p := &poller{shard: s, fd: fd, wires: map[int32]*pollWire{}, done: make(chan struct{}), ended: make(chan struct{})}
	go p.run()
	return p, nil
}

func (p *poller) stop() {
	close(p.done)
	<-p.ended
	_ = unix.Close(p.fd)
}

func (p *poller) run() {
	defer close(p.ended)
	events, buffer := make([]unix.EpollEvent, eventsAtOnce), make([]byte, pollBuffer)
	for {
		n, err := unix.EpollWait(p.fd, events, pollMilliseconds)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		p.shard.mu.Lock()
		for _, e := range events[:max(n, 0)] {
			p.handle(e, buffer)
		}
		p.shard.settle()
		p.shard.mu.Unlock()
		select {
		case <-p.done:
			return
		default:
		}
	}
}

// handle reads once; epoll tells again when there is more.
func (p *poller) handle(e unix.EpollEvent, buffer []byte) {
	w := p.wires[e.Fd]
	if w == nil {
		return
	}
	if e.Events&unix.EPOLLOUT != 0 {
		w.flush()
	}
	if e.Events&^unix.EPOLLOUT == 0 {
		return
	}
	n, err := unix.Read(w.fd, buffer)
	switch {
	case n > 0:
		p.shard.read(w.client, buffer[:n], p.shard.worker.clock.now())
	case err == nil:
		p.shard.end(w.client, errCut)
	case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR):
		p.shard.end(w.client, err)
	}
}

// pollWire is a socket that a poller reads.
type pollWire struct {
	poller *poller
	client *client

	// mu is held over every write, so that the number of a closed socket is never used.
	mu     sync.Mutex
	fd     int
	unsent []byte
}

// add takes the socket out of the hands of Go's own poller.
func (p *poller) add(c *client, conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("reach the socket: %w", err)
	}
	fd, failed := closedFD, error(nil)
	err = raw.Control(func(original uintptr) {
		fd, failed = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("take the socket: %w", err)
	}
	// The duplicate holds the socket open.
	_ = conn.Close()
	w := &pollWire{poller: p, client: c, fd: fd}
	c.wire = w
	p.wires[int32(fd)] = w
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, w.events(unix.EPOLLIN)); err != nil {
		w.close()
		return fmt.Errorf("watch the socket: %w", err)
	}
	return nil
}

func (w *pollWire) events(events uint32) *unix.EpollEvent {
	return &unix.EpollEvent{Events: events, Fd: int32(w.fd)}
}

func (w *pollWire) write(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.fd == closedFD:
		return net.ErrClosed
	case len(w.unsent)+len(b) > mostUnsent:
		return errFull
	case len(w.unsent) > 0:
		w.unsent = append(w.unsent, b...)
		return nil
	}
	n, err := unix.Write(w.fd, b)
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		return err
	}
	if rest := b[max(n, 0):]; len(rest) > 0 {
		w.unsent = append(w.unsent, rest...)
		return unix.EpollCtl(w.poller.fd, unix.EPOLL_CTL_MOD, w.fd, w.events(unix.EPOLLIN|unix.EPOLLOUT))
	}
	return nil
}

// flush sends what a full socket kept back. An error shows in the next read.
func (w *pollWire) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd == closedFD {
		return
	}
	n, _ := unix.Write(w.fd, w.unsent)
	w.unsent = w.unsent[max(n, 0):]
	if len(w.unsent) == 0 {
		w.unsent = nil
		_ = unix.EpollCtl(w.poller.fd, unix.EPOLL_CTL_MOD, w.fd, w.events(unix.EPOLLIN))
	}
}

// close is called with the shard's lock held.
func (w *pollWire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd == closedFD {
		return
	}
	delete(w.poller.wires, int32(w.fd))
	_ = unix.Close(w.fd)
	w.fd = closedFD
}
