package transport

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 prescribes it, and no secret depends on it
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// acceptGUID is the constant of Sec-WebSocket-Accept, RFC 6455 section 1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

const (
	headerKey         = "Sec-Websocket-Key"
	headerVersion     = "Sec-Websocket-Version"
	headerSubprotocol = "Sec-Websocket-Protocol"
	protocolVersion   = "13"
	// keyBytes is the length of a decoded Sec-WebSocket-Key.
	keyBytes = 16
)

// checkHandshake refuses a request that is not an opening handshake of RFC 6455 section 4.2.1.
func checkHandshake(r *http.Request) *Refusal {
	malformed := func(status int, message string) *Refusal {
		return &Refusal{Status: status, Reason: "malformed", Message: message}
	}
	keys := r.Header.Values(headerKey)
	switch {
	case r.Method != http.MethodGet:
		return malformed(http.StatusMethodNotAllowed, "a WebSocket handshake is a GET")
	case !httpguts.HeaderValuesContainsToken(r.Header["Upgrade"], "websocket"),
		!httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade"):
		return &Refusal{
			Status: http.StatusUpgradeRequired, Reason: "not_websocket",
			Message: "this path speaks WebSocket: connect with a WebSocket client",
		}
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return malformed(http.StatusBadRequest, "a WebSocket handshake needs HTTP/1.1")
	case !slices.Equal(r.Header.Values(headerVersion), []string{protocolVersion}):
		return malformed(http.StatusBadRequest, "Sec-WebSocket-Version must be 13")
	case len(keys) != 1 || !isKey(keys[0]):
		return malformed(http.StatusBadRequest, "Sec-WebSocket-Key must be 16 bytes in base64")
	case !hasValidExtensions(r):
		return malformed(http.StatusBadRequest, "Sec-WebSocket-Extensions must be a list of extensions with parameters")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return malformed(http.StatusBadRequest, "a WebSocket handshake has no body")
	}
	return nil
}

// isKey reports whether the value is a Sec-WebSocket-Key, RFC 6455 section 4.1.
func isKey(key string) bool {
	decoded, err := base64.StdEncoding.DecodeString(key)
	return err == nil && len(decoded) == keyBytes
}

// Subprotocols returns the subprotocols that the client offers, in its order of preference
// (RFC 6455 section 4.1).
func Subprotocols(r *http.Request) []string {
	var offers []string
	for _, value := range r.Header.Values(headerSubprotocol) {
		for offer := range strings.SplitSeq(value, ",") {
			offers = append(offers, strings.TrimSpace(offer))
		}
	}
	return offers
}

// chooseSubprotocol returns the client's first offer that the endpoint supports. It is empty if there is
// none.
func chooseSubprotocol(r *http.Request, supported []string) string {
	for _, offer := range Subprotocols(r) {
		if slices.Contains(supported, offer) {
			return offer
		}
	}
	return ""
}

// switchingProtocols returns the response 101 to a valid handshake, RFC 6455 section 4.2.2.
func (s *Server) switchingProtocols(r *http.Request, e *Endpoint) []byte {
	sum := sha1.Sum([]byte(r.Header.Get(headerKey) + acceptGUID)) //nolint:gosec // see the import
	b := make([]byte, 0, 256)
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\n"+
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = base64.StdEncoding.AppendEncode(b, sum[:])
	b = append(b, "\r\n"...)
	if subprotocol := chooseSubprotocol(r, e.Subprotocols); subprotocol != "" {
		b = appendHeader(b, "Sec-WebSocket-Protocol", subprotocol)
	}
	if extension := s.negotiateExtensions(r); extension != "" {
		b = appendHeader(b, "Sec-WebSocket-Extensions", extension)
	}
	if cookie := s.options.Affinity.header(r); cookie != "" {
		b = appendHeader(b, "Set-Cookie", cookie)
	}
	for name, values := range s.options.Header {
		for _, value := range values {
			b = appendHeader(b, name, value)
		}
	}
	return append(b, "\r\n"...)
}

func appendHeader(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, value...), "\r\n"...)
}

// upgrader answers the handshake of one client.
type upgrader interface {
	// upgrade sends the response 101. It returns the driver of the connection, and what the client sent
	// behind its handshake. With an error, which says what failed, the socket is closed.
	upgrade(c *conn, response []byte) (d driver, early []byte, err error)
	// refuse sends an HTTP error after a delay and closes the connection.
	refuse(status int, header http.Header, message string, delay time.Duration)
}

// httpUpgrader answers a handshake that an HTTP server received.
type httpUpgrader struct {
	http.ResponseWriter
	server *Server
	// gone is closed when the client has left.
	gone <-chan struct{}
}

// refuse implements upgrader.
func (u httpUpgrader) refuse(status int, header http.Header, message string, delay time.Duration) {
	// Each takes a goroutine, so that there are fewer.
	u.server.held.wait(u.gone, u.server.options.MaxHandshakes, delay)
	maps.Copy(u.Header(), header)
	http.Error(u, message, status)
}

// upgrade implements upgrader.
func (u httpUpgrader) upgrade(c *conn, response []byte) (driver, []byte, error) {
	nc, rw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("take the connection over: %w", err)
	}
	early, err := rw.Peek(rw.Reader.Buffered())
	if err == nil {
		err = u.respond(nc, response)
	}
	if err != nil {
		_ = nc.Close()
		return nil, nil, err
	}
	return u.server.newDriver(c, nc), clone(early), nil
}

// respond writes the response within the handshake timeout. It returns an error when that fails.
func (u httpUpgrader) respond(nc net.Conn, response []byte) error {
	if err := nc.SetDeadline(time.Now().Add(u.server.options.HandshakeTimeout)); err != nil {
		return fmt.Errorf("limit the handshake: %w", err)
	}
	if _, err := nc.Write(response); err != nil {
		return fmt.Errorf("answer the handshake: %w", err)
	}
	if err := nc.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("end the handshake: %w", err)
	}
	return nil
}
