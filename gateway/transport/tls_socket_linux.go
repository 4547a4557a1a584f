package transport

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// newTLSSocket wraps the TCP connection under a TLS connection, so that the event loop can drive it.
func newTLSSocket(c net.Conn) net.Conn { return &tlsSocket{Conn: c} }

// tlsSocket is the net.Conn under a TLS connection. During the handshake it is the TCP connection.
// Afterwards it is a socket of the event loop and never blocks: Read without data fails like a read whose
// deadline has passed, after which crypto/tls can continue, and Write always accepts the data.
type tlsSocket struct {
	// Conn is the TCP connection during the handshake, and nil afterwards.
	net.Conn
	// driver is nil during the handshake. It drives the socket afterwards.
	driver *epollDriver
	// tls is the TLS connection on top. It is set together with driver.
	tls *tls.Conn
	// received holds encrypted bytes that crypto/tls has not read yet. Only decrypt sets it.
	received []byte
	// unsent holds encrypted bytes that the socket has not accepted yet. The driver's lock guards it.
	unsent []byte
}

// maxTLSPlaintext is the maximum content of a TLS record in bytes, RFC 8446 section 5.1.
const maxTLSPlaintext = 16 << 10

// plaintextPool holds buffers for decrypted bytes until the parser has read them.
var plaintextPool = sync.Pool{New: func() any { return new([maxTLSPlaintext]byte) }}

// decrypt decrypts what the socket received, and calls deliver with the content; the buffer is reused
// afterwards. An error means that the stream has ended.
func (s *tlsSocket) decrypt(received []byte, deliver func([]byte)) error {
	buffer := plaintextPool.Get().(*[maxTLSPlaintext]byte)
	defer plaintextPool.Put(buffer)
	// The bytes belong to the caller again afterwards. crypto/tls copies an incomplete record.
	s.received = received
	defer func() { s.received = nil }()
	for {
		n, err := s.tls.Read(buffer[:])
		if n > 0 {
			deliver(buffer[:n])
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			// crypto/tls may have answered by itself outside a write turn.
			if s.hasUnsent() && s.driver.conn.claimWriteTurn() {
				s.driver.schedule(false)
			}
			return nil
		case err != nil:
			return err //nolint:wrapcheck // callers only check that there is one
		}
	}
}

// encrypt encrypts the beginning of a batch and writes it. It reports whether the send buffer is full.
// It returns an error when the socket is closed or dead.
func (s *tlsSocket) encrypt(b *batch, scratch []byte) (full bool, err error) {
	if b.isWritten() {
		return false, nil
	}
	chunk := b.chunk(scratch[:0:maxTLSPlaintext])
	n, err := s.tls.Write(chunk[:min(len(chunk), maxTLSPlaintext)])
	if err != nil {
		return false, err //nolint:wrapcheck // callers only check that there is one
	}
	b.advance(n)
	if !s.hasUnsent() {
		return false, nil
	}
	s.driver.conn.markBlocked()
	return true, s.driver.armWrite()
}

// hasUnsent reports whether the socket has not accepted all bytes.
func (s *tlsSocket) hasUnsent() bool {
	s.driver.mu.Lock()
	defer s.driver.mu.Unlock()
	return len(s.unsent) > 0
}

// flushUnsent writes the bytes that the socket did not accept before. It reports whether all are written.
// The caller holds the write turn, which may be another goroutine's when flushUnsent reports false.
func (s *tlsSocket) flushUnsent() bool {
	s.driver.mu.Lock()
	unsent := s.unsent
	s.unsent = nil
	err := s.writeLocked(unsent)
	flushed := len(s.unsent) == 0
	s.driver.mu.Unlock()
	if err == nil && !flushed {
		err = s.driver.armWrite()
	}
	if err != nil {
		s.driver.fail()
		return false
	}
	return flushed
}

// maxUnsent limits the encrypted bytes for a client that does not read: a record of messages, and answers
// to key updates of the client.
const maxUnsent = 4 * maxTLSPlaintext

var errUnread = errors.New("the client does not read")

// writeLocked writes b, and keeps what the socket does not accept. It returns net.ErrClosed after close,
// errUnread when too many bytes wait, or the error of the system call. The caller holds the driver's
// lock.
func (s *tlsSocket) writeLocked(b []byte) error {
	d := s.driver
	if d.fd == closedFD {
		return net.ErrClosed
	}
	for len(b) > 0 && len(s.unsent) == 0 {
		n, err := unix.Write(int(d.fd), b)
		switch {
		case err == nil:
			b = b[n:]
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			s.unsent = append(s.unsent, b...)
			return nil
		default:
			return err //nolint:wrapcheck // callers only check that there is one
		}
	}
	if len(s.unsent)+len(b) > maxUnsent {
		return errUnread
	}
	s.unsent = append(s.unsent, b...)
	return nil
}

// closeNotify tells the client that nothing follows (close_notify, RFC 8446 section 6.1). A second call
// does nothing.
func (s *tlsSocket) closeNotify() {
	// The connection has ended; there is no use for an error.
	_ = s.tls.CloseWrite()
}

// Read implements net.Conn. After the handshake it returns os.ErrDeadlineExceeded when there is no data.
func (s *tlsSocket) Read(b []byte) (int, error) {
	if s.driver == nil {
		return s.Conn.Read(b)
	}
	if len(s.received) == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(b, s.received)
	s.received = s.received[n:]
	return n, nil
}

// Write implements net.Conn. After the handshake it returns the errors of writeLocked.
func (s *tlsSocket) Write(b []byte) (int, error) {
	if s.driver == nil {
		return s.Conn.Write(b)
	}
	s.driver.mu.Lock()
	defer s.driver.mu.Unlock()
	if err := s.writeLocked(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// SetWriteDeadline implements net.Conn. crypto/tls sets a deadline for its close_notify, which an event
// loop's socket does not need. It returns the error of the TCP connection during the handshake.
func (s *tlsSocket) SetWriteDeadline(t time.Time) error {
	if s.driver == nil {
		return s.Conn.SetWriteDeadline(t)
	}
	return nil
}
