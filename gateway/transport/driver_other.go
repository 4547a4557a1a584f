//go:build !linux

package transport

import "net"

// eventLoops is empty: there is no event loop on this system.
type eventLoops struct{}

func (*eventLoops) close() {}

func (*Server) newDriver(c *conn, nc net.Conn) driver { return newBlockingDriver(c, unwrapped(nc)) }

// HandshakeListener returns a listener that accepts all connections of l, and a nil error: on this system the HTTP
// server answers the handshakes. A listener that is not TCP is returned as it is.
func (s *Server) HandshakeListener(l net.Listener, _ map[string]*Endpoint) (net.Listener, error) {
	if _, ok := l.(*net.TCPListener); !ok {
		return l, nil
	}
	return s.proxiedListener(l), nil
}

func newTLSSocket(c net.Conn) net.Conn { return c }
