package transport

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"slices"

	"golang.org/x/net/http/httpguts"
)

// hasCompleteHead reports whether b contains the empty line that ends a request's head, RFC 9112
// section 2.1. Old clients end their lines without a carriage return.
func hasCompleteHead(b []byte) bool {
	return bytes.Contains(b, []byte("\n\r\n")) || bytes.Contains(b, []byte("\n\n"))
}

// mayBecomeRequest reports whether b can be the beginning of an HTTP/1 request. The HTTP server refuses
// anything else at once.
func mayBecomeRequest(b []byte) bool {
	line, _, complete := bytes.Cut(bytes.TrimLeft(b, "\r\n"), []byte("\n"))
	if complete {
		return bytes.Contains(line, []byte(" HTTP/1."))
	}
	return len(line) == 0 || line[0] >= 'A' && line[0] <= 'Z'
}

// parseHandshake parses a request that is an opening handshake (RFC 6455 section 4.2.1) beyond doubt, and
// returns what follows its head. It reports false for every other request: the HTTP server handles those
// and refuses broken ones.
func parseHandshake(b []byte) (r *http.Request, early []byte, ok bool) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 || !bytes.HasPrefix(b, []byte("GET /")) {
		return nil, nil, false
	}
	head, early := b[:end+4], b[end+4:]
	if bytes.Count(head, []byte("\n")) != bytes.Count(head, []byte("\r\n")) || countHosts(head) != 1 {
		return nil, nil, false
	}
	r, err := http.ReadRequest(bufio.NewReaderSize(bytes.NewReader(head), len(head)))
	if err != nil || r.Host == "" || !httpguts.ValidHostHeader(r.Host) {
		return nil, nil, false
	}
	if !hasValidFields(r.Header) || checkHandshake(r) != nil {
		return nil, nil, false
	}
	return r, clone(early), true
}

// hasValidFields reports whether all names and values follow RFC 9110 section 5.
func hasValidFields(h http.Header) bool {
	for name, values := range h {
		invalid := func(value string) bool { return !httpguts.ValidHeaderFieldValue(value) }
		if !httpguts.ValidHeaderFieldName(name) || slices.ContainsFunc(values, invalid) {
			return false
		}
	}
	return true
}

// countHosts counts the Host headers of a head. RFC 9112 section 3.2 requires exactly one, and
// http.ReadRequest does not tell how many there were.
func countHosts(head []byte) int {
	n := 0
	for line := range bytes.Lines(head) {
		if name, _, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("Host")) {
			n++
		}
	}
	return n
}

// prefixedConn is a connection from which some bytes were read already. Read returns these first.
type prefixedConn struct {
	net.Conn
	prefix []byte
	// remote replaces the connection's remote address unless it is nil.
	remote net.Addr
}

// RemoteAddr implements net.Conn.
func (c *prefixedConn) RemoteAddr() net.Addr {
	if c.remote != nil {
		return c.remote
	}
	return c.Conn.RemoteAddr()
}

// CloseWrite ends the outbound half of the stream, so that an HTTP server can do that before it closes a
// connection whose client still sends. It returns the error of the connection, and nil if the connection
// has no such method.
func (c *prefixedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Read implements net.Conn. It returns the errors of the connection.
func (c *prefixedConn) Read(b []byte) (int, error) {
	if len(c.prefix) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.prefix)
	c.prefix = c.prefix[n:]
	return n, nil
}
