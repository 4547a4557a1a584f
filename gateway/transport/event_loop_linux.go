package transport

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// eventLoop drives sockets with epoll. One goroutine reads, another one writes, so that a broadcast to
// thousands of connections does not delay the messages of clients.
type eventLoop struct {
	epollFD int
	file    *os.File
	raw     syscall.RawConn
	// wake holds a value while the writer has something to do.
	wake     chan struct{}
	done     chan struct{}
	routines sync.WaitGroup

	// scheduleMu guards the fields below.
	scheduleMu sync.Mutex
	// scheduled holds the drivers with a write turn.
	scheduled []*epollDriver
	// broadcast holds the drivers whose write turn lets others go first.
	broadcast []*epollDriver
	// woken reports that the writer was woken and has not looked at both lists yet.
	woken bool

	// pollMu is held while events are reported to the handlers. It guards the fields below.
	pollMu sync.Mutex
	closed bool
	events []unix.EpollEvent
	buffer []byte

	// handlersMu guards handlers, whose index is the file descriptor.
	handlersMu sync.RWMutex
	handlers   []fdHandler
}

// fdHandler handles the events of one file descriptor. Its methods must not block. buffer belongs to the
// handler until the method returns.
type fdHandler interface {
	readable(buffer []byte)
	writable()
}

const (
	// maxEventsPerPoll limits how long a new event waits behind earlier ones.
	maxEventsPerPoll = 128
	// readBufferSize and writeBufferSize are in bytes; a loop has one buffer of each.
	readBufferSize  = 16 << 10
	writeBufferSize = 64 << 10
)

// newEventLoop starts a loop. Go's poller watches the epoll instance itself, so that a loop without
// events occupies no thread. It returns an error when the system refuses an epoll instance.
func newEventLoop() (*eventLoop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	l := &eventLoop{
		epollFD: fd,
		file:    os.NewFile(uintptr(fd), "epoll"),
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		events:  make([]unix.EpollEvent, maxEventsPerPoll),
		buffer:  make([]byte, readBufferSize),
	}
	if l.raw, err = l.file.SyscallConn(); err != nil {
		_ = l.file.Close()
		return nil, fmt.Errorf("epoll: %w", err)
	}
	l.routines.Go(l.read)
	l.routines.Go(l.write)
	return l, nil
}

// close ends the loop and waits for its goroutines. All its sockets must be closed before.
func (l *eventLoop) close() {
	close(l.done)
	l.pollMu.Lock()
	l.closed = true
	l.pollMu.Unlock()
	_ = l.file.Close()
	l.routines.Wait()
}

// add begins to wait for events of a file descriptor, or replaces its handler. It returns the error of
// epoll_ctl.
func (l *eventLoop) add(fd int32, h fdHandler, events uint32) error {
	l.handlersMu.Lock()
	if missing := int(fd) + 1 - len(l.handlers); missing > 0 {
		l.handlers = append(l.handlers, make([]fdHandler, missing)...)
	}
	known := l.handlers[fd] != nil
	l.handlers[fd] = h
	l.handlersMu.Unlock()
	if known {
		if err := l.modify(fd, events); !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return unix.EpollCtl(l.epollFD, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: events, Fd: fd})
}

// modify changes the events to wait for. It returns the error of epoll_ctl, which only an unknown file
// descriptor causes.
func (l *eventLoop) modify(fd int32, events uint32) error {
	return unix.EpollCtl(l.epollFD, unix.EPOLL_CTL_MOD, int(fd), &unix.EpollEvent{Events: events, Fd: fd})
}

// forget removes the handler of a file descriptor. The caller then closes the descriptor, which removes
// it from the epoll instance.
func (l *eventLoop) forget(fd int32) {
	l.handlersMu.Lock()
	defer l.handlersMu.Unlock()
	if int(fd) < len(l.handlers) {
		l.handlers[fd] = nil
	}
}

// handler returns nil for a file descriptor that was forgotten.
func (l *eventLoop) handler(fd int32) fdHandler {
	l.handlersMu.RLock()
	defer l.handlersMu.RUnlock()
	return l.handlers[fd]
}

// schedule queues a driver for the writer goroutine.
func (l *eventLoop) schedule(d *epollDriver, broadcast bool) {
	l.scheduleMu.Lock()
	first := !l.woken
	l.woken = true
	if broadcast {
		l.broadcast = append(l.broadcast, d)
	} else {
		l.scheduled = append(l.scheduled, d)
	}
	l.scheduleMu.Unlock()
	if !first {
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// read is the reader goroutine.
func (l *eventLoop) read() {
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

// poll reports the pending events to their handlers, without waiting for any. It returns whether there
// was one, and os.ErrClosed or the error of epoll_wait. An event of a closed socket may reach another one
// with the same file descriptor, which then finds nothing to read.
func (l *eventLoop) poll() (more bool, err error) {
	l.pollMu.Lock()
	defer l.pollMu.Unlock()
	if l.closed {
		return false, os.ErrClosed
	}
	n, err := unix.EpollWait(l.epollFD, l.events, 0)
	if errors.Is(err, unix.EINTR) {
		return true, nil
	}
	if n <= 0 {
		return false, err //nolint:wrapcheck // callers only check that there is one
	}
	for _, e := range l.events[:n] {
		l.dispatch(e)
	}
	return true, nil
}

// dispatch reports one event. The caller holds pollMu.
func (l *eventLoop) dispatch(e unix.EpollEvent) {
	h := l.handler(e.Fd)
	if h == nil {
		return
	}
	if e.Events&unix.EPOLLOUT != 0 {
		h.writable()
	}
	if e.Events&^unix.EPOLLOUT != 0 {
		h.readable(l.buffer)
	}
}

// broadcastChunk is how many connections of a broadcast are written before others get their turn. That
// takes less than a millisecond.
const broadcastChunk = 64

// write is the writer goroutine. Frames that are queued on a connection while others are written go out
// with the next write to it.
func (l *eventLoop) write() {
	w := writer{scratch: make([]byte, 0, writeBufferSize)}
	for {
		select {
		case <-l.wake:
			l.writeAll(&w)
		case <-l.done:
			return
		}
	}
}

// writer is the memory of the writer goroutine.
type writer struct {
	scheduled []*epollDriver
	broadcast []*epollDriver
	scratch   []byte
}

// writeAll runs the write turns of both lists.
func (l *eventLoop) writeAll(w *writer) {
	l.scheduleMu.Lock()
	l.woken = false
	w.broadcast, l.broadcast = l.broadcast, w.broadcast[:0]
	l.scheduleMu.Unlock()
	l.writeScheduled(w)
	for i, d := range w.broadcast {
		if d.flushWith(w.scratch); i%broadcastChunk == broadcastChunk-1 {
			l.letOthersGoFirst(w)
		}
	}
	clear(w.broadcast)
}

// writeScheduled runs the write turns that are not part of a broadcast.
func (l *eventLoop) writeScheduled(w *writer) {
	l.scheduleMu.Lock()
	w.scheduled, l.scheduled = l.scheduled, w.scheduled[:0]
	l.scheduleMu.Unlock()
	for _, d := range w.scheduled {
		d.flushWith(w.scratch)
	}
	clear(w.scheduled)
}

// letOthersGoFirst interrupts a broadcast for other work: it polls, because the reader goroutine gets
// late events while a broadcast keeps all processors busy, and then runs the write turns that are due.
func (l *eventLoop) letOthersGoFirst(w *writer) {
	// The reader goroutine handles the error.
	_, _ = l.poll()
	runtime.Gosched()
	l.writeScheduled(w)
}

// eventLoops are the event loops of a server, one for each processor. They start with the first
// connection.
type eventLoops struct {
	// mu guards the fields below.
	mu   sync.Mutex
	all  []*eventLoop
	next int
}

// pick returns the loop for the next connection. It returns an error when a loop cannot be started.
func (ls *eventLoops) pick() (*eventLoop, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for len(ls.all) < runtime.GOMAXPROCS(0) {
		l, err := newEventLoop()
		if err != nil {
			return nil, err
		}
		ls.all = append(ls.all, l)
	}
	ls.next = (ls.next + 1) % len(ls.all)
	return ls.all[ls.next], nil
}

// close ends all loops. The lock is not held meanwhile: a loop may be about to pick one.
func (ls *eventLoops) close() {
	ls.mu.Lock()
	all := ls.all
	ls.all = nil
	ls.mu.Unlock()
	for _, l := range all {
		l.close()
	}
}
