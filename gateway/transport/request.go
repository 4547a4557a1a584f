package transport

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"slices"

	"golang.org/x/net/http/httpguts"
)

// wholeHead tells that an empty line has come, which ends a request's head. Old clients end their
// lines without a carriage return.
func wholeHead(b []byte) bool {
	return bytes.Contains(b, []byte("\n\r\n")) || bytes.Contains(b, []byte("\n\n"))
}

// mayBeRequest tells what may still become an HTTP request from what an HTTP server should refuse at once.
func mayBeRequest(b []byte) bool {
	line, _, whole := bytes.Cut(bytes.TrimLeft(b, "\r\n"), []byte("\n"))
	if whole {
		return bytes.Contains(line, []byte(" HTTP/1."))
	}
	return len(line) == 0 || line[0] >= 'A' && line[0] <= 'Z'
}

// handshakeIn reads a request that is an opening handshake without any doubt, and what came behind
// it. Whatever else it may be is for an HTTP server, which knows how to refuse it.
func handshakeIn(b []byte) (r *http.Request, early []byte, ok bool) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 || !bytes.HasPrefix(b, []byte("GET /")) {
		return nil, nil, false
	}
	head, early := b[:end+4], b[end+4:]
	if bytes.Count(head, []byte("\n")) != bytes.Count(head, []byte("\r\n")) || hosts(head) != 1 {
		return nil, nil, false
	}
	r, err := http.ReadRequest(bufio.NewReaderSize(bytes.NewReader(head), len(head)))
	if err != nil || r.Host == "" || !httpguts.ValidHostHeader(r.Host) || !printable(r.Header) || wellFormed(r) != nil {
		return nil, nil, false
	}
	return r, clone(early), true
}

// printable tells whether all headers are what RFC 9110, section 5, lets them be.
func printable(h http.Header) bool {
	for name, values := range h {
		if !httpguts.ValidHeaderFieldName(name) || slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }) {
			return false
		}
	}
	return true
}

// hosts counts Host headers, of which http.ReadRequest shows one.
func hosts(head []byte) int {
	n := 0
	for line := range bytes.Lines(head) {
		if name, _, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("Host")) {
			n++
		}
	}
	return n
}

// replayed is a connection of which something has been read already.
type replayed struct {
	net.Conn
	before []byte
}

// CloseWrite lets an HTTP server end its side before it hangs up on who still sends.
func (c *replayed) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *replayed) Read(b []byte) (int, error) {
	if len(c.before) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.before)
	c.before = c.before[n:]
	return n, nil
}
