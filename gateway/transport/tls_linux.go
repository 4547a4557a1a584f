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

// secureSocket is what a TLS connection stands on, so that an event loop can drive it.
func secureSocket(c net.Conn) net.Conn { return &tlsSocket{Conn: c} }

// tlsSocket is what a TLS connection takes for its network. During the handshake that is the network.
// Afterwards it is a socket of an event loop, which never waits: a read that finds nothing fails like
// one with a deadline that has passed, after which crypto/tls can go on, and a write always succeeds.
type tlsSocket struct {
	// Conn is the network during the handshake.
	net.Conn
	// wire drives the socket afterwards, and tls is what stands upon it.
	wire *pollWire
	tls  *tls.Conn
	// sealed came from the peer and was not looked at yet. The loop's reader's alone.
	sealed []byte
	// unsent is sealed for the peer, and the socket did not take it yet. The wire's lock guards it.
	unsent []byte
}

// longestRecord is how much a TLS record holds at most.
const longestRecord = 16 << 10

// plainBuffers are for what was decrypted until the parser has seen it.
var plainBuffers = sync.Pool{New: func() any { return new([longestRecord]byte) }}

// secured returns the wire of a TLS connection whose handshake is over, if a loop can drive it.
func (s *Server) secured(c *conn, nc net.Conn) (*pollWire, bool) {
	secure, ok := nc.(*newcomer)
	if !ok {
		return nil, false
	}
	socket := secure.NetConn().(*tlsSocket)
	w, ok := s.polled(c, socket.Conn)
	if !ok {
		return nil, false
	}
	socket.Conn, socket.wire, socket.tls = nil, w, secure.Conn
	w.secure = socket
	return w, true
}

// open decrypts what came and delivers it. An error is the end of the stream.
func (s *tlsSocket) open(sealed []byte, deliver func([]byte) bool) error {
	buffer := plainBuffers.Get().(*[longestRecord]byte)
	defer plainBuffers.Put(buffer)
	// It belongs to the caller again afterwards; crypto/tls has a copy of what it could not use yet.
	s.sealed = sealed
	defer func() { s.sealed = nil }()
	for {
		n, err := s.tls.Read(buffer[:])
		if n > 0 {
			deliver(buffer[:n])
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if s.isFull() {
				// An answer of crypto/tls itself is no turn of the flusher, who has to write the rest.
				s.wire.conn.kick()
			}
			return nil
		case err != nil:
			return err //nolint:wrapcheck // only its being there counts
		}
	}
}

// send encrypts the beginning of a batch and writes it. It reports whether the socket is full.
func (s *tlsSocket) send(b *batch, scratch []byte) (full bool, err error) {
	if b.isOut() {
		return false, nil
	}
	piece := b.piece(scratch[:0:longestRecord])
	n, err := s.tls.Write(piece[:min(len(piece), longestRecord)])
	if err != nil {
		return false, err //nolint:wrapcheck // only its being there counts
	}
	b.advance(n)
	if !s.isFull() {
		return false, nil
	}
	s.wire.conn.stall()
	return true, s.wire.awaitRoom()
}

// isFull tells that the socket did not take everything.
func (s *tlsSocket) isFull() bool {
	s.wire.mu.Lock()
	defer s.wire.mu.Unlock()
	return len(s.unsent) > 0
}

// drain writes what the socket did not take before. It reports whether there is room for more. It is
// the flusher's, as send is.
func (s *tlsSocket) drain() bool {
	s.wire.mu.Lock()
	waiting := s.unsent
	s.unsent = nil
	err := s.put(waiting)
	room := len(s.unsent) == 0
	s.wire.mu.Unlock()
	if err == nil && !room {
		// The last thing of a turn: from here on, it may go on in the loop.
		err = s.wire.awaitRoom()
	}
	if err != nil {
		s.wire.conn.abort()
		return false
	}
	return room
}

// mostUnsent bounds what was sealed for a peer that does not read: a record of messages, and answers
// to the peer's own wishes for other keys.
const mostUnsent = 4 * longestRecord

var errUnread = errors.New("the peer does not read")

// put writes b, and keeps what the socket does not take; the caller holds the wire's lock, and sees to
// it that the rest goes out.
func (s *tlsSocket) put(b []byte) error {
	w := s.wire
	if w.fd == closedFD {
		return net.ErrClosed
	}
	for len(b) > 0 && len(s.unsent) == 0 {
		n, err := unix.Write(int(w.fd), b)
		switch {
		case err == nil:
			b = b[n:]
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			s.unsent = append(s.unsent, b...)
			return nil
		default:
			return err //nolint:wrapcheck // only its being there counts
		}
	}
	if len(s.unsent)+len(b) > mostUnsent {
		return errUnread
	}
	s.unsent = append(s.unsent, b...)
	return nil
}

// closeNotify tells the peer that nothing follows, unless it was told.
func (s *tlsSocket) closeNotify() {
	// Errors of a dead socket help nobody.
	_ = s.tls.CloseWrite()
}

// Read implements net.Conn.
func (s *tlsSocket) Read(b []byte) (int, error) {
	if s.wire == nil {
		return s.Conn.Read(b)
	}
	if len(s.sealed) == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(b, s.sealed)
	s.sealed = s.sealed[n:]
	return n, nil
}

// Write implements net.Conn.
func (s *tlsSocket) Write(b []byte) (int, error) {
	if s.wire == nil {
		return s.Conn.Write(b)
	}
	s.wire.mu.Lock()
	defer s.wire.mu.Unlock()
	if err := s.put(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// SetWriteDeadline implements net.Conn. crypto/tls sets one for its last words.
func (s *tlsSocket) SetWriteDeadline(t time.Time) error {
	if s.wire == nil {
		return s.Conn.SetWriteDeadline(t)
	}
	return nil
}
