package transport

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// pollWire is a socket that an event loop drives: while nothing happens on it, it costs a file
// descriptor and this struct.
type pollWire struct {
	conn *conn
	loop *loop
	// unsent is what the socket has not taken yet. The flusher's alone.
	unsent *batch
	// secure is nil for a connection without TLS.
	secure *tlsSocket

	// mu is held over every system call on fd, so that a closed number that the system gives to
	// another socket is never used. It is taken after the connection's lock, never before it.
	mu sync.Mutex
	fd int32
	// watched: the loop knows the socket. armed: it tells when there is something to read.
	watched, armed bool
	// paused: nothing is to be read for now. full: the loop is to tell when there is room.
	paused, full bool
}

const closedFD = -1

// duplicate is another file descriptor of a socket, which Go's own poller knows nothing of.
func duplicate(c syscall.Conn) (int32, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return closedFD, fmt.Errorf("reach the socket: %w", err)
	}
	fd, failed := closedFD, error(nil)
	err = raw.Control(func(original uintptr) {
		fd, failed = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, failed); err != nil {
		return closedFD, fmt.Errorf("take the socket: %w", err)
	}
	return int32(fd), nil
}

func (w *pollWire) start(early []byte) {
	if len(early) > 0 {
		w.conn.received(early)
	}
	if w.secure != nil {
		// What came with the handshake may have been decrypted in part, or not yet.
		w.deliver(nil)
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
	if w.armed = !w.paused; w.armed {
		events |= unix.EPOLLIN | unix.EPOLLRDHUP
	} else {
		// Without a wish for more, a hang-up is told once instead of all the time.
		events |= unix.EPOLLONESHOT
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
		return w.loop.add(w.fd, w, w.events())
	}
	return w.loop.modify(w.fd, w.events())
}

// pause costs no system call: most pauses are over before there is anything to read.
func (w *pollWire) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paused = true
}

func (w *pollWire) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paused = false
	if w.watched && !w.armed {
		// It can fail only for a file descriptor that is not there.
		_ = w.watch()
	}
}

// readable reads once; the loop tells again when there is more.
func (w *pollWire) readable(buffer []byte) {
	w.mu.Lock()
	if w.fd == closedFD {
		w.mu.Unlock()
		return
	}
	if w.paused {
		if w.armed {
			_ = w.watch()
		}
		w.mu.Unlock()
		return
	}
	n, err := unix.Read(int(w.fd), buffer)
	w.mu.Unlock()
	switch {
	case err == nil && n == 0 || err != nil && !again(err):
		w.ended()
	case n > 0:
		w.deliver(buffer[:n])
	}
}

// deliver hands on what was read.
func (w *pollWire) deliver(b []byte) {
	if w.secure == nil {
		w.conn.received(b)
	} else if err := w.secure.open(b, w.conn.received); err != nil {
		w.ended()
	}
}

// ended is called when there is nothing more to read. That is told once: nobody wants to hear of this
// socket again.
func (w *pollWire) ended() {
	w.mu.Lock()
	w.paused = true
	if w.watched {
		_ = w.watch()
	}
	w.mu.Unlock()
	w.conn.end()
}

func (w *pollWire) writable() {
	w.mu.Lock()
	was := w.full
	if w.full = false; was {
		_ = w.watch()
	}
	w.mu.Unlock()
	if was {
		w.schedule(false)
	}
}

func (w *pollWire) schedule(bulk bool) { w.loop.schedule(w, bulk) }

// writesPerTurn keeps a connection that is fed faster than it is written from holding up the others.
const writesPerTurn = 16

// scratches are for those who are not the loop.
var scratches = sync.Pool{New: func() any { return new([longestRecord]byte) }}

func (w *pollWire) flush() {
	scratch := scratches.Get().(*[longestRecord]byte)
	w.flushWith(scratch[:0])
	scratches.Put(scratch)
}

// flushWith writes what waits until nothing does, the socket is full or it is others' turn. Scratch
// joins small frames into one write.
func (w *pollWire) flushWith(scratch []byte) {
	if w.secure == nil {
		w.turn(scratch)
		return
	}
	if w.secure.drain() {
		w.turn(scratch)
	}
	if w.secure.isFull() {
		// What crypto/tls answered meanwhile wants a turn too, unless this one goes on.
		w.conn.kick()
	}
}

func (w *pollWire) turn(scratch []byte) {
	for range writesPerTurn {
		if w.unsent == nil {
			b := w.conn.take()
			if b == nil {
				return
			}
			w.unsent = b
		}
		full, err := w.write(scratch)
		switch {
		case err != nil:
			w.conn.abort()
			return
		case full:
			return
		case w.unsent.isOut():
			// From wrote or take on, when nothing is left, the turn may be somebody else's.
			b := w.unsent
			w.unsent = nil
			if !w.conn.wrote(b) {
				return
			}
		}
	}
	w.schedule(true)
}

// write is one system call. When the socket is full the loop schedules the rest.
func (w *pollWire) write(scratch []byte) (full bool, err error) {
	if w.secure != nil {
		return w.secure.send(w.unsent, scratch)
	}
	piece := w.unsent.piece(scratch)
	w.mu.Lock()
	if w.fd == closedFD {
		w.mu.Unlock()
		return false, net.ErrClosed
	}
	n, err := unix.Write(int(w.fd), piece)
	w.mu.Unlock()
	switch {
	case err == nil:
		w.unsent.advance(n)
		return false, nil
	case errors.Is(err, unix.EINTR):
		return false, nil
	case errors.Is(err, unix.EAGAIN):
		w.conn.stall()
		return true, w.awaitRoom()
	}
	return false, err
}

// awaitRoom asks the loop to tell when the socket takes more.
func (w *pollWire) awaitRoom() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.full = true
	if w.watched {
		return w.watch()
	}
	return nil
}

func (w *pollWire) closeWrite() {
	if w.secure != nil {
		w.secure.closeNotify()
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd != closedFD {
		// Errors of a dead socket help nobody: its reader ends too.
		_ = unix.Shutdown(int(w.fd), unix.SHUT_WR)
	}
}

func (w *pollWire) shut() {
	if w.secure != nil {
		w.secure.closeNotify()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd == closedFD {
		return
	}
	w.loop.forget(w.fd)
	// Errors of closing a dead socket help nobody.
	_ = unix.Close(int(w.fd))
	w.fd = closedFD
}

func again(err error) bool { return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) }
