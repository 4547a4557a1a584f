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

// plainHTTPAnswer answers a client that speaks plain HTTP on a TLS port.
const plainHTTPAnswer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" +
	"this port speaks TLS: connect with wss:// or https://\n"

// TLSListener returns a listener that accepts TLS connections on l. At most MaxHandshakes connections may
// be pending, which means that their first request has not been received completely.
func (s *Server) TLSListener(l net.Listener, config *tls.Config) net.Listener {
	config = config.Clone()
	// Small records would mean many writes for what is one write here.
	config.DynamicRecordSizingDisabled = true
	return &tlsListener{
		Listener:   s.proxiedListener(l),
		config:     config,
		maxPending: s.options.MaxHandshakes,
		observer:   s.options.Observer,
	}
}

// tlsListener is the listener of a TLS port. When too many connections are pending, it closes the oldest
// one: a client that opens many connections and sends nothing loses them and does not keep others out.
type tlsListener struct {
	net.Listener
	config     *tls.Config
	maxPending int
	observer   Observer

	// mu guards pending, which holds *tlsConn, the oldest first.
	mu      sync.Mutex
	pending list.List
}

// tlsConn is a TLS connection. It is pending until its first request was received completely.
type tlsConn struct {
	*tls.Conn
	listener *tlsListener
	tcp      net.Conn
	// element is nil when the connection is not pending. The listener's lock guards it.
	element *list.Element
	// requested reports that the first request was received completely. Only Read uses it.
	requested bool
	// lineEmpty reports that the current line of the request is empty so far. Only Read uses it.
	lineEmpty bool
}

// Accept implements net.Listener. It returns the errors of the TCP listener. When the process has no file
// descriptor left, it first closes the oldest pending connection.
func (l *tlsListener) Accept() (net.Conn, error) {
	for {
		tcp, err := l.Listener.Accept()
		switch {
		case err == nil:
			return l.addPending(tcp), nil
		case errors.Is(err, syscall.EMFILE) && l.evictOldest():
		default:
			return nil, err //nolint:wrapcheck // the HTTP server expects the original error
		}
	}
}

// Close implements net.Listener. It closes the pending connections too, and returns the error of the TCP
// listener.
func (l *tlsListener) Close() error {
	err := l.Listener.Close()
	for l.closeOldest() {
	}
	return err //nolint:wrapcheck // the HTTP server expects the original error
}

func (l *tlsListener) addPending(tcp net.Conn) *tlsConn {
	c := &tlsConn{Conn: tls.Server(newTLSSocket(tcp), l.config), listener: l, tcp: tcp}
	l.mu.Lock()
	c.element = l.pending.PushBack(c)
	tooMany := l.pending.Len() > l.maxPending
	l.mu.Unlock()
	if tooMany {
		l.evictOldest()
	}
	return c
}

// evictOldest closes the oldest pending connection and counts it as refused. It reports whether there was
// one.
func (l *tlsListener) evictOldest() bool {
	evicted := l.closeOldest()
	if evicted {
		l.observer.ConnectionRefused(refusedCrowd)
	}
	return evicted
}

// closeOldest closes the oldest pending connection, and reports whether there was one.
func (l *tlsListener) closeOldest() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := l.pending.Front()
	if oldest == nil {
		return false
	}
	c := oldest.Value.(*tlsConn)
	c.removePending()
	// Close the TCP connection: a TLS alert could block.
	_ = c.tcp.Close()
	return true
}

// removePending ends the pending state, and reports whether the connection was pending. The caller holds
// the listener's lock.
func (c *tlsConn) removePending() bool {
	if c.element == nil {
		return false
	}
	c.listener.pending.Remove(c.element)
	c.element = nil
	return true
}

// endPending is removePending for a caller that does not hold the lock.
func (c *tlsConn) endPending() bool {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	return c.removePending()
}

// Read implements net.Conn. The connection is no longer pending after the empty line that ends its first
// request's head. Read returns the errors of the TLS connection.
func (c *tlsConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.requested {
		return n, err //nolint:wrapcheck // the HTTP server expects the original error
	}
	for _, char := range b[:n] {
		switch {
		case char == '\n' && c.lineEmpty:
			c.requested = true
			c.endPending()
			return n, err //nolint:wrapcheck // the HTTP server expects the original error
		case char == '\n':
			c.lineEmpty = true
		case char != '\r':
			c.lineEmpty = false
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && c.endPending() {
		c.listener.observer.ConnectionRefused(refusedTimeout)
	}
	if notTLS, ok := errors.AsType[tls.RecordHeaderError](err); ok && notTLS.Conn != nil {
		// The client most likely used ws:// or http://, and its developer should learn that.
		_, _ = io.WriteString(notTLS.Conn, plainHTTPAnswer)
	}
	return n, err //nolint:wrapcheck // the HTTP server expects the original error
}

// Close implements net.Conn. It returns the error of the TLS connection.
func (c *tlsConn) Close() error {
	c.endPending()
	return c.Conn.Close() //nolint:wrapcheck // the HTTP server expects the original error
}
