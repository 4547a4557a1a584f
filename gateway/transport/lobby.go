package transport

import (
	"container/list"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// TLSListener makes TLS connections of what a listener accepts. Who has not sent a whole request waits in a
// lobby of MaxHandshakes places.
func (s *Server) TLSListener(l net.Listener, config *tls.Config) net.Listener {
	config = config.Clone()
	// Small records first would mean many writes for what is one here.
	config.DynamicRecordSizingDisabled = true
	return &lobby{Listener: l, config: config, places: s.options.MaxHandshakes, observer: s.options.Observer}
}

// lobby is the listener of a TLS port. Above its places, who has waited for longest makes room: who opens
// many connections and says nothing loses them, and does not keep others out.
type lobby struct {
	net.Listener
	config   *tls.Config
	places   int
	observer Observer

	mu sync.Mutex
	// waiting holds *newcomer, the oldest first.
	waiting list.List
}

// newcomer is a TLS connection whose first request has not come whole, and later any other.
type newcomer struct {
	*tls.Conn
	lobby *lobby
	raw   net.Conn
	// place is nil once it has left. The lobby's lock guards it.
	place *list.Element
	// served: the request has come. blank: so far its line is empty. The reader's alone.
	served, blank bool
}

// Accept implements net.Listener.
func (l *lobby) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		switch {
		case err == nil:
			return l.welcome(raw), nil
		case errors.Is(err, syscall.EMFILE) && l.makeRoom():
		default:
			return nil, err //nolint:wrapcheck // the HTTP server wants it as it is
		}
	}
}

// Close implements net.Listener. Who has not said what it wants is let go.
func (l *lobby) Close() error {
	err := l.Listener.Close()
	for l.sendAwayOldest() {
	}
	return err //nolint:wrapcheck // the HTTP server wants it as it is
}

func (l *lobby) welcome(raw net.Conn) *newcomer {
	c := &newcomer{Conn: tls.Server(secureSocket(raw), l.config), lobby: l, raw: raw}
	l.mu.Lock()
	c.place = l.waiting.PushBack(c)
	crowded := l.waiting.Len() > l.places
	l.mu.Unlock()
	if crowded {
		l.makeRoom()
	}
	return c
}

// makeRoom sends the oldest away and counts it.
func (l *lobby) makeRoom() bool {
	sent := l.sendAwayOldest()
	if sent {
		l.observer.ConnectionRefused(refusedCrowd)
	}
	return sent
}

func (l *lobby) sendAwayOldest() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := l.waiting.Front()
	if oldest == nil {
		return false
	}
	c := oldest.Value.(*newcomer)
	c.forget()
	// Without a word of TLS, which could block.
	_ = c.raw.Close()
	return true
}

// forget gives the place up, and reports whether it had one; the lobby is locked.
func (c *newcomer) forget() bool {
	if c.place == nil {
		return false
	}
	c.lobby.waiting.Remove(c.place)
	c.place = nil
	return true
}

func (c *newcomer) leave() bool {
	c.lobby.mu.Lock()
	defer c.lobby.mu.Unlock()
	return c.forget()
}

// Read implements net.Conn. The empty line behind a request's head ends the stay in the lobby.
func (c *newcomer) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.served {
		return n, err //nolint:wrapcheck // the HTTP server wants it as it is
	}
	for _, char := range b[:n] {
		switch {
		case char == '\n' && c.blank:
			c.served = true
			c.leave()
			return n, err //nolint:wrapcheck // see above
		case char == '\n':
			c.blank = true
		case char != '\r':
			c.blank = false
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && c.leave() {
		c.lobby.observer.ConnectionRefused(refusedTimeout)
	}
	if noTLS, ok := errors.AsType[tls.RecordHeaderError](err); ok && noTLS.Conn != nil {
		// Most likely somebody forgot an s, and should hear of it.
		_, _ = io.WriteString(noTLS.Conn, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nthis port speaks TLS: connect with wss:// or https://\n")
	}
	return n, err //nolint:wrapcheck // see above
}

// Close implements net.Conn.
func (c *newcomer) Close() error {
	c.leave()
	return c.Conn.Close() //nolint:wrapcheck // see above
}
