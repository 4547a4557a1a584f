package transport

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// pollWire is a socket that an event loop drives: while nothing happens on it, it costs a file
// descriptor and this struct.
type pollWire struct {
	conn *conn
	loop *loop

	// mu is held over every system call on fd, so that a closed number that the system gives to
	// another socket is never used. It is taken after the connection's lock, never before it.
	mu      sync.Mutex
	fd      int
	watched bool
	paused  bool
	full    bool

	// unsent is what the flusher has taken and the socket not yet. The flusher's alone.
	unsent outgoing
}

// outgoing is a batch on its way.
type outgoing struct {
	messages, bytes int
	last            bool
	// rest is what has not been written yet.
	rest [][]byte
}

const closedFD = -1

// detach takes the socket out of the hands of Go's own poller.
func detach(nc *net.TCPConn) (fd int, err error) {
	raw, err := nc.SyscallConn()
	if err != nil {
		return closedFD, fmt.Errorf("reach the socket: %w", err)
	}
	var failed error
	err = raw.Control(func(original uintptr) {
		fd, failed = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, failed); err != nil {
		return closedFD, fmt.Errorf("take the socket: %w", err)
	}
	// The duplicate holds the socket open; errors of closing the original change nothing.
	_ = nc.Close()
	return fd, nil
}

func (w *pollWire) start(early []byte) {
	if len(early) > 0 {
		w.conn.received(early)
	}
	w.mu.Lock()
	err := w.watch()
	w.mu.Unlock()
	if err != nil {
		w.conn.abort()
	}
}

// events are what the loop is asked for.
func (w *pollWire) events() uint32 {
	var events uint32
	if w.paused {
		// Without a wish for more, a hang-up is told once instead of all the time.
		events |= unix.EPOLLONESHOT
	} else {
		events |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if w.full {
		events |= unix.EPOLLOUT
	}
	return events
}

// watch tells the loop the current wishes; the caller holds the lock.
func (w *pollWire) watch() error {
	if w.fd == closedFD {
		return nil
	}
	if !w.watched {
		w.watched = true
		return w.loop.add(w, w.events())
	}
	return w.loop.modify(w, w.events())
}

// rewatch changes the wishes of a wire that the loop already knows. It can fail only for a file
// descriptor that is not there.
func (w *pollWire) rewatch(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	if w.watched {
		_ = w.watch()
	}
}

func (w *pollWire) pause()  { w.rewatch(func() { w.paused = true }) }
func (w *pollWire) resume() { w.rewatch(func() { w.paused = false }) }

// readable reads once; the loop tells again when there is more.
func (w *pollWire) readable(buffer []byte) {
	w.mu.Lock()
	if w.fd == closedFD || w.paused {
		w.mu.Unlock()
		return
	}
	n, err := unix.Read(w.fd, buffer)
	if err == nil && n == 0 || err != nil && !again(err) {
		// The end is told once: nobody wants to hear of this socket again.
		w.paused = true
		_ = w.watch()
		w.mu.Unlock()
		w.conn.end()
		return
	}
	w.mu.Unlock()
	if n > 0 {
		w.conn.received(buffer[:n])
	}
}

func (w *pollWire) writable() {
	was := false
	w.rewatch(func() { was, w.full = w.full, false })
	if was {
		w.schedule()
	}
}

func (w *pollWire) schedule() { w.loop.schedule(w) }

// writesPerTurn keeps a connection that is fed faster than it is written from holding up the others.
const writesPerTurn = 16

// flush writes what waits until nothing does, the socket is full or it is others' turn. Scratch joins
// small frames into one write.
func (w *pollWire) flush(scratch []byte) {
	for range writesPerTurn {
		if len(w.unsent.rest) == 0 {
			batch, last := w.conn.take()
			if len(batch) == 0 {
				w.unsent = outgoing{}
				return
			}
			w.unsent = outgoing{messages: len(batch), bytes: size(batch), last: last, rest: batch}
		}
		full, err := w.write(scratch)
		switch {
		case err != nil:
			w.conn.abort()
			return
		case full:
			return
		case len(w.unsent.rest) == 0:
			w.conn.wrote(w.unsent.messages, w.unsent.bytes, w.unsent.last)
		}
	}
	w.schedule()
}

// write is one system call. When the socket is full the loop schedules the rest.
func (w *pollWire) write(scratch []byte) (full bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd == closedFD {
		return false, net.ErrClosed
	}
	n, err := unix.Write(w.fd, join(w.unsent.rest, scratch))
	switch {
	case err == nil:
		w.unsent.rest = consume(w.unsent.rest, n)
		return false, nil
	case errors.Is(err, unix.EINTR):
		return false, nil
	case errors.Is(err, unix.EAGAIN):
		w.full = true
		if w.watched {
			return true, w.watch()
		}
		return true, nil
	}
	return false, err
}

// join is the beginning of b in one piece: copied into scratch when several buffers fit.
func join(b [][]byte, scratch []byte) []byte {
	if len(b) == 1 || len(b[0]) >= cap(scratch) {
		return b[0]
	}
	scratch = scratch[:0]
	for _, piece := range b {
		scratch = append(scratch, piece[:min(len(piece), cap(scratch)-len(scratch))]...)
		if len(scratch) == cap(scratch) {
			break
		}
	}
	return scratch
}

// consume is b without its first n bytes.
func consume(b [][]byte, n int) [][]byte {
	for len(b) > 0 && n >= len(b[0]) {
		n -= len(b[0])
		b = b[1:]
	}
	if n > 0 {
		b[0] = b[0][n:]
	}
	return b
}

func (w *pollWire) closeWrite() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd != closedFD {
		// Errors of a dead socket help nobody: its reader ends too.
		_ = unix.Shutdown(w.fd, unix.SHUT_WR)
	}
}

func (w *pollWire) shut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd == closedFD {
		return
	}
	w.loop.forget(w.fd)
	// Errors of closing a dead socket help nobody.
	_ = unix.Close(w.fd)
	w.fd = closedFD
}

func again(err error) bool { return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) }
