package transport

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// proxiedListener returns a listener whose connections may begin with a PROXY protocol header. The event loop's
// listener reads these headers itself; this one is for connections that an HTTP server or a TLS server reads.
func (s *Server) proxiedListener(l net.Listener) net.Listener { return &proxiedListener{l, s} }

type proxiedListener struct {
	net.Listener
	server *Server
}

// Accept implements net.Listener. It returns the errors of the listener. It does not wait for a header.
func (l *proxiedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // the HTTP server expects the original error
	}
	c := &proxiedConn{prefixedConn: prefixedConn{Conn: nc}, server: l.server}
	if remote, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		c.peer = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	}
	return c, nil
}

// proxiedConn is a connection that may begin with a PROXY protocol header. The first Read removes it.
type proxiedConn struct {
	prefixedConn
	server *Server
	// peer is the address of the TCP connection, and invalid where that has none.
	peer netip.AddrPort

	// once guards the reading of the header. err and the fields of prefixedConn are set by it.
	once sync.Once
	// err is what every Read returns when there was no request.
	err error
}

// RemoteAddr implements net.Conn. It returns the client's address, for which it waits until a trusted proxy has sent
// its header, up to HandshakeTimeout.
func (c *proxiedConn) RemoteAddr() net.Addr {
	if c.server.options.ProxyProtocol != ProxyProtocolDisabled && c.server.options.Proxies.trusts(c.peer.Addr()) {
		c.once.Do(func() {
			// Errors of these two show in the Read between them, or in a later one.
			_ = c.SetReadDeadline(time.Now().Add(c.server.options.HandshakeTimeout))
			c.readHeader()
			_ = c.SetReadDeadline(time.Time{})
		})
	}
	return c.prefixedConn.RemoteAddr()
}

// Read implements net.Conn. It returns the errors of the connection, and io.EOF for one that was refused.
func (c *proxiedConn) Read(b []byte) (int, error) {
	c.once.Do(c.readHeader)
	if c.err != nil {
		return 0, c.err
	}
	return c.prefixedConn.Read(b)
}

// readHeader reads until it is known whether there is a header, and removes it. It answers and closes a connection that
// is refused.
func (c *proxiedConn) readHeader() {
	// Large enough for all headers but those with large TLVs.
	buffer := make([]byte, 512)
	for {
		n, err := c.Conn.Read(buffer)
		c.prefix = append(c.prefix, buffer[:n]...)
		client, skip, headerErr := c.server.readProxyHeader(c.prefix, c.peer)
		switch refusal, refused := errors.AsType[*proxyRefusal](headerErr); {
		case refused:
			c.server.refuseProxyHeader(refusal, c.peer)
			_, _ = io.WriteString(c.Conn, refusal.response())
			_ = c.Close()
			// The HTTP server answers other errors.
			c.err = io.EOF
			return
		case headerErr == nil:
			c.prefix = c.prefix[skip:]
			if client != c.peer {
				c.remote = net.TCPAddrFromAddrPort(client)
			}
			// Without more to return, the error of the next Read is the same.
			return
		case err != nil:
			c.err = err
			return
		}
	}
}

// unwrapped returns the connection below those that only hold back what was read before a request.
func unwrapped(nc net.Conn) net.Conn {
	switch c := nc.(type) {
	case *prefixedConn:
		return c.Conn
	case *proxiedConn:
		return c.Conn
	}
	return nc
}
