package load

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// poller reads the sockets of a shard's clients with epoll in one goroutine. A delivery costs one read and a share of
// an epoll_wait, and no goroutine switch.
type poller struct {
	shard *shard
	fd    int
	// sockets are kept by file descriptor. The shard's mu guards them.
	sockets map[int32]*pollSocket
	// done is closed to stop the goroutine, ended is closed by the goroutine.
	done, ended chan struct{}
}

const (
	eventsAtOnce = 128
	pollBuffer   = 64 << 10
	// pollMilliseconds is the timeout of epoll_wait, after which a poller checks done.
	pollMilliseconds = 100
	closedFD         = -1
	// maxUnsent is the maximum number of bytes that wait for a server that does not read. A window needs less.
	maxUnsent = 16 << 20
)

var errUnsentFull = errors.New("the server does not read what is published")

func newPoller(s *shard) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	p := &poller{shard: s, fd: fd, sockets: map[int32]*pollSocket{}, done: make(chan struct{}), ended: make(chan struct{})}
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
		p.shard.creditWindow()
		p.shard.mu.Unlock()
		select {
		case <-p.done:
			return
		default:
		}
	}
}

// handle reads a socket once. epoll reports it again when there is more. The caller holds the shard's mu.
func (p *poller) handle(e unix.EpollEvent, buffer []byte) {
	w := p.sockets[e.Fd]
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
		p.shard.connectionLost(w.client, errCut)
	case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR):
		p.shard.connectionLost(w.client, err)
	}
}

// pollSocket is the socket of a client that a poller reads.
type pollSocket struct {
	poller *poller
	client *client

	// mu guards the fields below. It is held during every write, so that the descriptor of a closed socket is not used.
	mu     sync.Mutex
	fd     int
	unsent []byte
}

// add duplicates the connection's descriptor and closes conn, so that Go's own poller does not watch it. The caller
// holds the shard's mu.
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
	// The duplicate keeps the socket open.
	_ = conn.Close()
	w := &pollSocket{poller: p, client: c, fd: fd}
	c.socket = w
	p.sockets[int32(fd)] = w
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, w.events(unix.EPOLLIN)); err != nil {
		w.close()
		return fmt.Errorf("watch the socket: %w", err)
	}
	return nil
}

func (w *pollSocket) events(events uint32) *unix.EpollEvent {
	return &unix.EpollEvent{Events: events, Fd: int32(w.fd)}
}

func (w *pollSocket) write(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.fd == closedFD:
		return net.ErrClosed
	case len(w.unsent)+len(b) > maxUnsent:
		return errUnsentFull
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

// flush sends bytes that a full socket did not take before. The next read reports an error.
func (w *pollSocket) flush() {
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

// close closes the socket. The caller holds the shard's mu.
func (w *pollSocket) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd == closedFD {
		return
	}
	delete(w.poller.sockets, int32(w.fd))
	_ = unix.Close(w.fd)
	w.fd = closedFD
}
