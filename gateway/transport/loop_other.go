//go:build !linux

package transport

import "net"

// loops are none: every connection has goroutines here.
type loops struct{}

func (*loops) close() {}

func (s *Server) newWire(c *conn, nc net.Conn) wire { return newBlockingWire(c, nc) }

// HandshakeListener returns the listener as it is: every client is the HTTP server's here.
func (*Server) HandshakeListener(l net.Listener, _ map[string]*Endpoint) (net.Listener, error) {
	return l, nil
}

func secureSocket(c net.Conn) net.Conn { return c }
