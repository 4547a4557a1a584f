package transport

import "net"

// newDriver returns the driver of a connection's socket: the event loop where that is possible.
func (s *Server) newDriver(c *conn, nc net.Conn) driver {
	nc = unwrapped(nc)
	if !s.options.Blocking {
		if d, ok := s.newEpollDriver(c, nc); ok {
			return d
		}
		if d, ok := s.newTLSDriver(c, nc); ok {
			return d
		}
	}
	return newBlockingDriver(c, nc)
}

// newEpollDriver takes over a plain TCP connection. It reports false, and leaves the connection alone,
// if the event loop cannot drive it.
func (s *Server) newEpollDriver(c *conn, nc net.Conn) (*epollDriver, bool) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil, false
	}
	l, err := s.loops.pick()
	if err != nil {
		return nil, false
	}
	fd, err := duplicate(tcp)
	if err != nil {
		return nil, false
	}
	// The duplicate keeps the socket open, so an error of closing the original changes nothing.
	_ = tcp.Close()
	return &epollDriver{conn: c, loop: l, fd: fd}, true
}

// newTLSDriver takes over a TLS connection after its handshake. It reports false, and leaves the
// connection alone, if the event loop cannot drive it.
func (s *Server) newTLSDriver(c *conn, nc net.Conn) (*epollDriver, bool) {
	secure, ok := nc.(*tlsConn)
	if !ok {
		return nil, false
	}
	socket := secure.NetConn().(*tlsSocket)
	d, ok := s.newEpollDriver(c, unwrapped(socket.Conn))
	if !ok {
		return nil, false
	}
	socket.Conn, socket.driver, socket.tls = nil, d, secure.Conn
	d.tls = socket
	return d, true
}
