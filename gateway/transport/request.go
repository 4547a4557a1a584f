package transport

import (
	"bufio"
	"bytes"
	"net"
	"net/http"

	"golang.org/x/net/http/httpguts"
)

// handshakeIn reads a request that is an opening handshake without any doubt, and what came behind
// it. Whatever else it may be is for an HTTP server, which knows how to refuse it.
func handshakeIn(b []byte) (r *http.Request, early []byte, ok bool) {
	if !bytes.HasPrefix(b, []byte("GET /")) {
		return nil, nil, false
	}
	in := bytes.NewReader(b)
	buffered := bufio.NewReaderSize(in, len(b))
	r, err := http.ReadRequest(buffered)
	if err != nil || !httpguts.ValidHostHeader(r.Host) || r.Host == "" || hosts(b) != 1 || wellFormed(r) != nil {
		return nil, nil, false
	}
	for name, values := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, nil, false
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return nil, nil, false
			}
		}
	}
	// All of b is in the buffer: it is as large.
	rest, err := buffered.Peek(buffered.Buffered())
	return r, clone(rest), err == nil
}

// hosts counts Host headers, of which http.ReadRequest shows one.
func hosts(b []byte) int {
	head, _, _ := bytes.Cut(b, []byte("\r\n\r\n"))
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
