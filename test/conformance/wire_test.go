package conformance

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// timeout bounds waits for events that should happen at once.
const timeout = 20 * time.Second

// The first bytes of frames.
const (
	fin  = 0x80
	rsv1 = 0x40
	rsv2 = 0x20
	rsv3 = 0x10

	more   = 0x0
	text   = 0x1
	data   = 0x2
	closes = 0x8
	ping   = 0x9
	pong   = 0xA
)

// key is the mask of all frames here, unless a case is about masks.
var key = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// frame returns a masked frame, as a client must send it (RFC 6455 section 5.2).
func frame(first byte, payload string) string {
	return header(first, len(payload)) + masked(key, payload)
}

// header returns a frame's header without the mask.
func header(first byte, length int) string {
	b := []byte{first}
	switch {
	case length < 126:
		b = append(b, 0x80|byte(length))
	case length < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(length))
	}
	return string(b)
}

// masked returns a mask and the masked payload.
func masked(key [4]byte, payload string) string {
	b := append(key[:], payload...)
	for i := range len(payload) {
		b[4+i] ^= key[i%4]
	}
	return string(b)
}

// closing returns a close frame. noCode leaves its body empty.
func closing(code int, reason string) string {
	if code == noCode {
		return frame(fin|closes, "")
	}
	return frame(fin|closes, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

// noCode stands for a close frame without a body.
const noCode = 1005

// received is a frame from the gateway.
type received struct {
	first   byte
	payload string
}

func (r received) String() string {
	shown := r.payload
	if len(shown) > 40 {
		shown = shown[:40] + "..."
	}
	return fmt.Sprintf("%#02x %q (%d bytes)", r.first, shown, len(r.payload))
}

// closeCode returns the code of a close frame.
func (r received) closeCode() int {
	if len(r.payload) < 2 {
		return noCode
	}
	return int(binary.BigEndian.Uint16([]byte(r.payload)))
}

// tlsScheme is the prefix of the address of a gateway with TLS.
const tlsScheme = "tls://"

// wire is a TCP connection to a gateway on which a test writes frames itself.
type wire struct {
	net.Conn
	in *bufio.Reader
	// compressed is set when permessage-deflate was negotiated. inflated counts the compressed messages.
	compressed bool
	inflated   int
}

// connect connects to a gateway, with TLS when the address begins with tlsScheme.
func connect(t *testing.T, address string) *wire {
	t.Helper()
	var conn net.Conn
	var err error
	if address, ok := strings.CutPrefix(address, tlsScheme); ok {
		conn, err = tls.Dial("tcp", address,
			&tls.Config{InsecureSkipVerify: true})
	} else {
		conn, err = net.Dial("tcp", address)
	}
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(timeout)))
	return &wire{Conn: conn, in: bufio.NewReader(conn)}
}

// open connects and completes the handshake.
func open(t *testing.T, address, path string, more ...string) *wire {
	t.Helper()
	w := connect(t, address)
	w.send(t, head("GET "+path+" HTTP/1.1", more...))
	response := w.response(t)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	return w
}

// sampleKey and sampleAccept are the example of RFC 6455 section 1.3.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// head returns a correct opening handshake with further lines.
func head(request string, lines ...string) string {
	return strings.Join(append([]string{
		request, "Host: gateway.example", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: " + sampleKey, "Sec-WebSocket-Version: 13",
	}, lines...), "\r\n") + "\r\n\r\n"
}

// response reads the answer to a handshake, including the body of a refusal.
func (w *wire) response(t *testing.T) *http.Response {
	t.Helper()
	r, err := http.ReadResponse(w.in, &http.Request{Method: http.MethodGet})
	require.NoError(t, err)
	if r.StatusCode != http.StatusSwitchingProtocols {
		_, err = io.ReadAll(r.Body)
		require.NoError(t, err)
	}
	return r
}

// endWriting half closes the connection.
func (w *wire) endWriting(t *testing.T) {
	t.Helper()
	require.NoError(t, w.Conn.(interface{ CloseWrite() error }).CloseWrite())
}

// resetOnClose makes Close reset the connection.
func (w *wire) resetOnClose(t *testing.T) {
	t.Helper()
	conn := w.Conn
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	require.NoError(t, conn.(*net.TCPConn).SetLinger(0))
}

func (w *wire) send(t *testing.T, bytes string) {
	t.Helper()
	_, err := io.WriteString(w, bytes)
	require.NoError(t, err)
}

// receive reads the gateway's next frame and holds it to section 5: not masked, no reserved bits, the
// length in its shortest form, text in UTF-8. A ping is answered and passed over. The error is io.EOF at the end
// of the stream.
func (w *wire) receive() (received, error) {
	for {
		r, err := w.frame()
		if err != nil || r.first != fin|ping {
			return r, err
		}
		if _, err := io.WriteString(w, frame(fin|pong, r.payload)); err != nil {
			return r, err
		}
	}
}

func (w *wire) frame() (received, error) {
	start := make([]byte, 2)
	if _, err := io.ReadFull(w.in, start); err != nil {
		return received{}, err
	}
	length, shortest := uint64(start[1]&^0x80), uint64(0)
	if extra := map[uint64]int{126: 2, 127: 8}[length]; extra > 0 {
		b := make([]byte, 8)
		if _, err := io.ReadFull(w.in, b[8-extra:]); err != nil {
			return received{}, broken(err)
		}
		shortest = map[uint64]uint64{126: 126, 127: 1 << 16}[length]
		length = binary.BigEndian.Uint64(b)
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(w.in, payload); err != nil {
		return received{}, broken(err)
	}
	r := received{start[0], string(payload)}
	if w.compressed && (r.first == fin|rsv1|text || r.first == fin|rsv1|data) {
		content, err := inflated(r.payload)
		if err != nil {
			return r, fmt.Errorf("%w in %v", err, r)
		}
		w.inflated++
		r, start[0], payload = received{r.first &^ rsv1, content}, r.first&^rsv1, []byte(content)
	}
	switch {
	case start[1]&0x80 != 0:
		return r, errors.New("the gateway masks")
	case start[0]&(rsv1|rsv2|rsv3) != 0:
		return r, fmt.Errorf("reserved bits in %v", r)
	case length < shortest:
		return r, fmt.Errorf("length not in its shortest form in %v", r)
	case start[0] == fin|text && !utf8.Valid(payload):
		return r, fmt.Errorf("text that is not UTF-8 in %v", r)
	}
	return r, nil
}

// broken turns an end of stream inside a frame into another error than io.EOF.
func broken(err error) error {
	return fmt.Errorf("inside a frame: %w", errors.Join(io.ErrUnexpectedEOF, err))
}

// expect reads one frame and compares it.
func (w *wire) expect(t *testing.T, first byte, payload string) {
	t.Helper()
	r, err := w.receive()
	require.NoError(t, err)
	// require.Equal would print a useless diff of long payloads.
	require.Equal(t, received{first, payload}.String(), r.String())
	require.True(t, r.payload == payload, "the same length and beginning, other bytes")
}

// ends expects a close frame with the code and then the end of the stream. A reset is an error.
func (w *wire) ends(t *testing.T, code int) {
	t.Helper()
	r, err := w.receive()
	require.NoError(t, err, "want a close frame with %d", code)
	require.Equal(t, byte(fin|closes), r.first, "want a close frame with %d, got %v", code, r)
	require.Equal(t, code, r.closeCode(), r.payload)
	if len(r.payload) > 2 {
		require.True(t, utf8.ValidString(r.payload[2:]), "reason %q", r.payload[2:])
	}
	w.silent(t)
}

// silent expects the end of the stream and nothing before it.
func (w *wire) silent(t *testing.T) {
	t.Helper()
	r, err := w.receive()
	require.ErrorIs(t, err, io.EOF, "the stream ends here, without %v", r)
	require.NotErrorIs(t, err, io.ErrUnexpectedEOF)
}
