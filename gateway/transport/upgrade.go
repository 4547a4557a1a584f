package transport

import (
	"crypto/sha1" //nolint:gosec // named by RFC 6455, and no secret hangs on it
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

// acceptGUID is the constant that a server proves with that it speaks WebSocket, RFC 6455 section 1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

const (
	headerKey         = "Sec-Websocket-Key"
	headerVersion     = "Sec-Websocket-Version"
	headerSubprotocol = "Sec-Websocket-Protocol"
	protocolVersion   = "13"
	// keyBytes is the length of a handshake's key before it is encoded.
	keyBytes = 16
)

// wellFormed refuses what is no opening handshake of RFC 6455, section 4.2.1.
func wellFormed(r *http.Request) *Refusal {
	malformed := func(status int, message string) *Refusal {
		return &Refusal{Status: status, Reason: "malformed", Message: message}
	}
	keys := r.Header.Values(headerKey)
	switch {
	case r.Method != http.MethodGet:
		return malformed(http.StatusMethodNotAllowed, "a WebSocket handshake is a GET")
	case !httpguts.HeaderValuesContainsToken(r.Header["Upgrade"], "websocket"),
		!httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade"):
		return &Refusal{Status: http.StatusUpgradeRequired, Reason: "not_websocket", Message: "this path speaks WebSocket: connect with a WebSocket client"}
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return malformed(http.StatusBadRequest, "a WebSocket handshake needs HTTP/1.1")
	case !slices.Equal(r.Header.Values(headerVersion), []string{protocolVersion}):
		return malformed(http.StatusBadRequest, "Sec-WebSocket-Version must be 13")
	case len(keys) != 1 || !isKey(keys[0]):
		return malformed(http.StatusBadRequest, "Sec-WebSocket-Key must be 16 bytes in base64")
	case !validExtensions(r):
		return malformed(http.StatusBadRequest, "Sec-WebSocket-Extensions must be a list of extensions with parameters")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return malformed(http.StatusBadRequest, "a WebSocket handshake has no body")
	}
	return nil
}

func isKey(key string) bool {
	decoded, err := base64.StdEncoding.DecodeString(key)
	return err == nil && len(decoded) == keyBytes
}

// Subprotocols are what a client offers to speak, the one it likes best first.
func Subprotocols(r *http.Request) []string {
	var offers []string
	for _, value := range r.Header.Values(headerSubprotocol) {
		for offer := range strings.SplitSeq(value, ",") {
			offers = append(offers, strings.TrimSpace(offer))
		}
	}
	return offers
}

// choose is the first of the client's offers that the endpoint speaks, or none.
func choose(r *http.Request, spoken []string) string {
	for _, offer := range Subprotocols(r) {
		if slices.Contains(spoken, offer) {
			return offer
		}
	}
	return ""
}

// answer is the head of the 101.
func (s *Server) answer(r *http.Request, e *Endpoint) []byte {
	sum := sha1.Sum([]byte(r.Header.Get(headerKey) + acceptGUID)) //nolint:gosec // see the import
	b := make([]byte, 0, 256)
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = base64.StdEncoding.AppendEncode(b, sum[:])
	b = append(b, "\r\n"...)
	if subprotocol := choose(r, e.Subprotocols); subprotocol != "" {
		b = append(append(append(b, "Sec-WebSocket-Protocol: "...), subprotocol...), "\r\n"...)
	}
	if extension := s.extension(r); extension != "" {
		b = append(append(append(b, "Sec-WebSocket-Extensions: "...), extension...), "\r\n"...)
	}
	for name, values := range s.options.Header {
		for _, value := range values {
			b = append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
		}
	}
	return append(b, "\r\n"...)
}

// door is where a client stands during its handshake.
type door interface {
	// open answers with the head of a 101 and returns what drives the connection from then on, and what
	// the client sent without waiting for the answer. When it fails, nobody is there any more.
	open(c *conn, head []byte) (w wire, early []byte, err error)
	// refuse answers with something else, and lets the client go.
	refuse(status int, header http.Header, message string)
}

// httpDoor is a client of an HTTP server.
type httpDoor struct {
	http.ResponseWriter
	server *Server
}

func (d httpDoor) refuse(status int, header http.Header, message string) {
	maps.Copy(d.Header(), header)
	http.Error(d, message, status)
}

func (d httpDoor) open(c *conn, head []byte) (wire, []byte, error) {
	nc, rw, err := http.NewResponseController(d.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("take the connection over: %w", err)
	}
	early, err := rw.Peek(rw.Reader.Buffered())
	if err == nil {
		err = d.answer(nc, head)
	}
	if err != nil {
		_ = nc.Close()
		return nil, nil, err
	}
	return d.server.newWire(c, nc), clone(early), nil
}

func (d httpDoor) answer(nc net.Conn, head []byte) error {
	if err := nc.SetDeadline(time.Now().Add(d.server.options.HandshakeTimeout)); err != nil {
		return fmt.Errorf("bound the handshake: %w", err)
	}
	if _, err := nc.Write(head); err != nil {
		return fmt.Errorf("answer the handshake: %w", err)
	}
	if err := nc.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("end the handshake: %w", err)
	}
	return nil
}
