package transport

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// loop drives sockets with epoll: one goroutine reads what came, one writes what waits. Two, so that
// a broadcast to thousands does not hold up who has something to say.
type loop struct {
	fd   int
	file *os.File
	raw  syscall.RawConn
	wake chan struct{}
	done chan struct{}
	work sync.WaitGroup

	// mu guards the lanes: who has something to write, and, in bulk, those for whom others need not
	// wait.
	mu   sync.Mutex
	lane lane
	bulk lane
	// woken: the writer will take both lanes.
	woken bool

	// polling is held while events are told.
	polling sync.Mutex
	closed  bool
	events  []unix.EpollEvent
	buffer  []byte

	// watching guards sources, by their file descriptors.
	watching sync.RWMutex
	sources  []source
}

// lane is some wires in the order in which they had something to write.
type lane []*pollWire

// source is a file descriptor that the loop watches. Its methods run on the loop's reader and must
// not block; buffer is theirs for the call.
type source interface {
	readable(buffer []byte)
	writable()
}

const (
	// eventsAtOnce bounds how long a new event waits behind old ones.
	eventsAtOnce = 128
	readBuffer   = 16 << 10
	writeBuffer  = 64 << 10
)

// newLoop starts a loop. The epoll instance itself is watched by Go's poller, so that a loop without
// events occupies no thread.
func newLoop() (*loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	l := &loop{
		fd: fd, file: os.NewFile(uintptr(fd), "epoll"),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
		events: make([]unix.EpollEvent, eventsAtOnce), buffer: make([]byte, readBuffer),
	}
	if l.raw, err = l.file.SyscallConn(); err != nil {
		_ = l.file.Close()
		return nil, fmt.Errorf("epoll: %w", err)
	}
	l.work.Go(l.read)
	l.work.Go(l.write)
	return l, nil
}

// close ends the loop. Its sockets must be closed before.
func (l *loop) close() {
	close(l.done)
	l.polling.Lock()
	l.closed = true
	l.polling.Unlock()
	_ = l.file.Close()
	l.work.Wait()
}

// add begins to watch a file descriptor, or hands one that is watched to another source.
func (l *loop) add(fd int32, src source, events uint32) error {
	l.watching.Lock()
	if more := int(fd) + 1 - len(l.sources); more > 0 {
		l.sources = append(l.sources, make([]source, more)...)
	}
	known := l.sources[fd] != nil
	l.sources[fd] = src
	l.watching.Unlock()
	if known {
		if err := l.modify(fd, events); !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return unix.EpollCtl(l.fd, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: events, Fd: fd})
}

// modify changes what is told of a file descriptor. It can fail only for one that is not there.
func (l *loop) modify(fd int32, events uint32) error {
	return unix.EpollCtl(l.fd, unix.EPOLL_CTL_MOD, int(fd), &unix.EpollEvent{Events: events, Fd: fd})
}

// forget comes before the file descriptor is closed, which takes it out of epoll.
func (l *loop) forget(fd int32) {
	l.watching.Lock()
	defer l.watching.Unlock()
	if int(fd) < len(l.sources) {
		l.sources[fd] = nil
	}
}

func (l *loop) source(fd int32) source {
	l.watching.RLock()
	defer l.watching.RUnlock()
	return l.sources[fd]
}

func (l *loop) schedule(w *pollWire, bulk bool) {
	l.mu.Lock()
	first := !l.woken
	l.woken = true
	if bulk {
		l.bulk = append(l.bulk, w)
	} else {
		l.lane = append(l.lane, w)
	}
	l.mu.Unlock()
	if !first {
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// read is the goroutine that waits for events.
func (l *loop) read() {
	_ = l.raw.Read(func(uintptr) bool {
		for {
			if more, err := l.poll(); !more || err != nil {
				return err != nil
			}
			select {
			case <-l.done:
				return true
			default:
			}
		}
	})
}

// poll tells the events that are there. An event of a socket that is gone meets another with its
// number at worst, and finds nothing to read there.
func (l *loop) poll() (more bool, err error) {
	l.polling.Lock()
	defer l.polling.Unlock()
	if l.closed {
		return false, os.ErrClosed
	}
	n, err := unix.EpollWait(l.fd, l.events, 0)
	if errors.Is(err, unix.EINTR) {
		return true, nil
	}
	if n <= 0 {
		return false, err //nolint:wrapcheck // only its being there counts
	}
	for _, e := range l.events[:n] {
		l.dispatch(e, l.buffer)
	}
	return true, nil
}

func (l *loop) dispatch(e unix.EpollEvent, buffer []byte) {
	src := l.source(e.Fd)
	if src == nil {
		return
	}
	if e.Events&unix.EPOLLOUT != 0 {
		src.writable()
	}
	if e.Events&^unix.EPOLLOUT != 0 {
		src.readable(buffer)
	}
}

// bulkAtOnce is how many wires of a broadcast are flushed before others have their turn: less than a
// millisecond's worth.
const bulkAtOnce = 64

// write is the goroutine that flushes queues. What is queued on a connection while others are
// flushed goes out with the next write to it.
func (l *loop) write() {
	t := turn{scratch: make([]byte, 0, writeBuffer)}
	for {
		select {
		case <-l.wake:
			l.take(&t)
		case <-l.done:
			return
		}
	}
}

// turn is what the writer needs for a turn, kept for the next one.
type turn struct {
	lane, bulk lane
	scratch    []byte
}

// take writes for the wires of both lanes.
func (l *loop) take(t *turn) {
	l.mu.Lock()
	l.woken = false
	t.bulk, l.bulk = l.bulk, t.bulk[:0]
	l.mu.Unlock()
	l.flush(t)
	for i, w := range t.bulk {
		if w.flushWith(t.scratch); i%bulkAtOnce == bulkAtOnce-1 {
			l.letOthers(t)
		}
	}
	clear(t.bulk)
}

// flush writes for the wires of the first lane.
func (l *loop) flush(t *turn) {
	l.mu.Lock()
	t.lane, l.lane = l.lane, t.lane[:0]
	l.mu.Unlock()
	for _, w := range t.lane {
		w.flushWith(t.scratch)
	}
	clear(t.lane)
}

// letOthers is for those who have nothing to do with a broadcast. While it keeps every processor busy,
// the goroutine that waits for events would hear of them late.
func (l *loop) letOthers(t *turn) {
	// Errors are the reader's to see.
	_, _ = l.poll()
	runtime.Gosched()
	l.flush(t)
}

// loops are the event loops of a server, started with its first connection.
type loops struct {
	mu   sync.Mutex
	all  []*loop
	next int
}

// pick is the next connection's loop.
func (ls *loops) pick() (*loop, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for len(ls.all) < runtime.GOMAXPROCS(0) {
		l, err := newLoop()
		if err != nil {
			return nil, err
		}
		ls.all = append(ls.all, l)
	}
	ls.next = (ls.next + 1) % len(ls.all)
	return ls.all[ls.next], nil
}

func (ls *loops) close() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.all {
		l.close()
	}
	ls.all = nil
}

// newWire picks what drives a socket: an event loop where that is possible.
func (s *Server) newWire(c *conn, nc net.Conn) wire {
	if r, ok := nc.(*replayed); ok {
		nc = r.Conn
	}
	if !s.options.Blocking {
		if w, ok := s.polled(c, nc); ok {
			return w
		}
		if w, ok := s.secured(c, nc); ok {
			return w
		}
	}
	return newBlockingWire(c, nc)
}

// polled returns a wire of an event loop, if the connection is plain TCP.
func (s *Server) polled(c *conn, nc net.Conn) (*pollWire, bool) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil, false
	}
	l, err := s.loops.pick()
	if err != nil {
		return nil, false
	}
	fd, err := duplicate(tcp)
	if err != nil {
		return nil, false
	}
	// The duplicate holds the socket open; errors of closing the original change nothing.
	_ = tcp.Close()
	return &pollWire{conn: c, loop: l, fd: fd}, true
}
