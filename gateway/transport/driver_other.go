//go:build !linux

package transport

import "net"

// eventLoops is empty: there is no event loop on this system.
type eventLoops struct{}

func (*eventLoops) close() {}

func (*Server) newDriver(c *conn, nc net.Conn) driver { return newBlockingDriver(c, nc) }

// HandshakeListener returns the listener itself and a nil error: on this system the HTTP server answers
// the handshakes.
func (*Server) HandshakeListener(l net.Listener, _ map[string]*Endpoint) (net.Listener, error) {
	return l, nil
}

func newTLSSocket(c net.Conn) net.Conn { return c }
