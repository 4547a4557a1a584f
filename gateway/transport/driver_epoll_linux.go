package transport

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// epollDriver drives a socket by an event loop. An idle socket costs this struct and a file descriptor.
type epollDriver struct {
	conn *conn
	loop *eventLoop
	// unwritten is the batch that is not written completely. The holder of the write turn owns it.
	unwritten *batch
	// tls is nil for a connection without TLS.
	tls *tlsSocket

	// mu is held over each system call on fd, so that no call can reach another socket that got the same
	// number after close. It also guards the fields below.
	mu sync.Mutex
	fd int32
	// registered reports that fd was added to the loop.
	registered bool
	// readArmed reports that the loop waits for fd to be readable.
	readArmed bool
	// paused reports that nothing is to be read.
	paused bool
	// writeArmed reports that the loop waits for fd to be writable.
	writeArmed bool
}

// closedFD stands for a file descriptor that was closed.
const closedFD = -1

// duplicate returns another file descriptor of a socket, which Go's own poller does not know. It returns
// an error when the system refuses it.
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
		return closedFD, fmt.Errorf("duplicate the socket: %w", err)
	}
	return int32(fd), nil
}

// start implements driver.
func (d *epollDriver) start(early []byte) {
	if len(early) > 0 {
		d.conn.received(early)
	}
	if d.tls != nil {
		// crypto/tls may still hold records that came with the handshake.
		d.deliver(nil)
	}
	d.mu.Lock()
	err := d.register()
	d.mu.Unlock()
	if err != nil {
		d.fail()
	}
}

// fail closes the socket and tells the connection.
func (d *epollDriver) fail() {
	d.close()
	d.conn.failed()
}

// wantedEvents returns the epoll events to wait for, and notes that reading is armed or not. The caller
// holds the lock.
func (d *epollDriver) wantedEvents() uint32 {
	var events uint32
	if d.readArmed = !d.paused; d.readArmed {
		events |= unix.EPOLLIN | unix.EPOLLRDHUP
	} else {
		// epoll always reports a hang-up; with EPOLLONESHOT it does so once.
		events |= unix.EPOLLONESHOT
	}
	if d.writeArmed {
		events |= unix.EPOLLOUT
	}
	return events
}

// register adds fd to the loop, or changes the events that the loop waits for. It returns the error of
// epoll_ctl. The caller holds the lock.
func (d *epollDriver) register() error {
	if d.fd == closedFD {
		return nil
	}
	if !d.registered {
		d.registered = true
		return d.loop.add(d.fd, d, d.wantedEvents())
	}
	return d.loop.modify(d.fd, d.wantedEvents())
}

// pauseReading implements driver. It makes no system call: most pauses end before there is anything to
// read.
func (d *epollDriver) pauseReading() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.paused = true
}

// resumeReading implements driver.
func (d *epollDriver) resumeReading() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.paused = false
	if d.registered && !d.readArmed {
		// It can only fail for an unknown file descriptor.
		_ = d.register()
	}
}

// readable implements fdHandler. It reads once; the loop reports again if there is more.
func (d *epollDriver) readable(buffer []byte) {
	d.mu.Lock()
	if d.fd == closedFD {
		d.mu.Unlock()
		return
	}
	if d.paused {
		if d.readArmed {
			_ = d.register()
		}
		d.mu.Unlock()
		return
	}
	n, err := unix.Read(int(d.fd), buffer)
	d.mu.Unlock()
	switch {
	case err == nil && n == 0 || err != nil && !isTemporary(err):
		d.endReading()
	case n > 0:
		d.deliver(buffer[:n])
	}
}

// deliver passes bytes of the socket to the connection, decrypted if it uses TLS.
func (d *epollDriver) deliver(b []byte) {
	if d.tls == nil {
		d.conn.received(b)
	} else if err := d.tls.decrypt(b, d.conn.received); err != nil {
		d.endReading()
	}
}

// endReading stops the reading for good and tells the connection.
func (d *epollDriver) endReading() {
	d.mu.Lock()
	d.paused = true
	if d.registered {
		_ = d.register()
	}
	d.mu.Unlock()
	d.conn.readEnded()
}

// writable implements fdHandler.
func (d *epollDriver) writable() {
	d.mu.Lock()
	wasArmed := d.writeArmed
	if d.writeArmed = false; wasArmed {
		_ = d.register()
	}
	d.mu.Unlock()
	if wasArmed {
		d.schedule(false)
	}
}

// schedule implements driver.
func (d *epollDriver) schedule(broadcast bool) { d.loop.schedule(d, broadcast) }

// maxWritesPerTurn limits the system calls of one write turn, so that a connection whose queue fills
// faster than it is written does not delay the others.
const maxWritesPerTurn = 16

// scratchPool holds buffers for goroutines other than the loop's.
var scratchPool = sync.Pool{New: func() any { return new([maxTLSPlaintext]byte) }}

// flush implements driver.
func (d *epollDriver) flush() {
	scratch := scratchPool.Get().(*[maxTLSPlaintext]byte)
	d.flushWith(scratch[:0])
	scratchPool.Put(scratch)
}

// flushWith is one write turn. It writes until nothing waits, the socket's send buffer is full or
// maxWritesPerTurn is reached. scratch is empty; its capacity limits the chunks that join frames.
func (d *epollDriver) flushWith(scratch []byte) {
	if d.tls == nil {
		d.writeBatches(scratch)
		return
	}
	if d.tls.flushUnsent() {
		d.writeBatches(scratch)
	}
	// crypto/tls may have written records of its own, such as the answer to a key update.
	if d.tls.hasUnsent() && d.conn.claimWriteTurn() {
		d.schedule(false)
	}
}

// writeBatches writes batches of the connection.
func (d *epollDriver) writeBatches(scratch []byte) {
	for range maxWritesPerTurn {
		if d.unwritten == nil {
			b := d.conn.nextBatch()
			if b == nil {
				return
			}
			d.unwritten = b
		}
		full, err := d.write(scratch)
		switch {
		case err != nil:
			d.fail()
			return
		case full:
			return
		case d.unwritten.isWritten():
			// When batchWritten reports no more, another goroutine may hold the turn already.
			b := d.unwritten
			d.unwritten = nil
			if !d.conn.batchWritten(b) {
				return
			}
		}
	}
	d.schedule(true)
}

// write makes one write call. If the send buffer is full, write reports so, and the loop schedules the
// rest when there is room. It returns net.ErrClosed after close, or the error of the system call.
func (d *epollDriver) write(scratch []byte) (full bool, err error) {
	if d.tls != nil {
		return d.tls.encrypt(d.unwritten, scratch)
	}
	chunk := d.unwritten.chunk(scratch)
	d.mu.Lock()
	if d.fd == closedFD {
		d.mu.Unlock()
		return false, net.ErrClosed
	}
	n, err := unix.Write(int(d.fd), chunk)
	d.mu.Unlock()
	switch {
	case err == nil:
		d.unwritten.advance(n)
		return false, nil
	case errors.Is(err, unix.EINTR):
		return false, nil
	case errors.Is(err, unix.EAGAIN):
		d.conn.markBlocked()
		return true, d.armWrite()
	}
	return false, err
}

// armWrite lets the loop report when the socket is writable. It returns the error of epoll_ctl.
func (d *epollDriver) armWrite() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writeArmed = true
	if d.registered {
		return d.register()
	}
	return nil
}

// closeWrite implements driver.
func (d *epollDriver) closeWrite() {
	if d.tls != nil {
		d.tls.closeNotify()
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd != closedFD {
		// An error means that the socket is dead, which the reader notices too.
		_ = unix.Shutdown(int(d.fd), unix.SHUT_WR)
	}
}

// close implements driver.
func (d *epollDriver) close() {
	if d.tls != nil {
		d.tls.closeNotify()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd == closedFD {
		return
	}
	d.loop.forget(d.fd)
	// The connection has ended; there is no use for an error.
	_ = unix.Close(int(d.fd))
	d.fd = closedFD
}

// isTemporary reports whether a system call may succeed later.
func isTemporary(err error) bool { return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) }
