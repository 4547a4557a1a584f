package transport_test

import (
	"bufio"
	"compress/flate"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

func compressed(o *transport.Options) { o.Compression, o.MaxMessageBytes = true, 100_000 }

// echo returns a handler that echoes each message.
func echo() *testHandler {
	h := newTestHandler()
	var conn transport.Conn
	h.open = func(c transport.Conn) { conn = c }
	h.message = func(kind transport.Kind, data []byte) { conn.Send(transport.NewFrame(kind, data)) }
	return h
}

func TestCompressionEchoesMessages(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		for name, mode := range map[string]websocket.CompressionMode{
			"no offer":    websocket.CompressionDisabled,
			"no takeover": websocket.CompressionNoContextTakeover,
			"takeover":    websocket.CompressionContextTakeover,
		} {
			t.Run(name, func(t *testing.T) {
				_, url := serve(t, func(*http.Request) (transport.Handler, error) { return echo(), nil }, driver, compressed)
				c, response, err := websocket.Dial(t.Context(), url,
					&websocket.DialOptions{CompressionMode: mode, CompressionThreshold: 1})
				require.NoError(t, err)
				defer func() { _ = c.CloseNow() }()
				c.SetReadLimit(-1)
				require.Equal(t, mode != websocket.CompressionDisabled, response.Header.Get("Sec-WebSocket-Extensions") != "")
				for _, content := range []string{"", "ä", strings.Repeat("again and ", 100), strings.Repeat("x", 90_000)} {
					for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
						require.NoError(t, c.Write(t.Context(), kind, []byte(content)))
						gotKind, got, err := c.Read(t.Context())
						require.NoError(t, err)
						require.Equal(t, kind, gotKind)
						require.Equal(t, content, string(got))
					}
				}
			})
		}
	})
}

func TestCompressionIsOffByDefault(t *testing.T) {
	_, url := serve(t, func(*http.Request) (transport.Handler, error) { return echo(), nil })
	c, response, err := websocket.Dial(t.Context(), url,
		&websocket.DialOptions{CompressionMode: websocket.CompressionNoContextTakeover})
	require.NoError(t, err)
	defer func() { _ = c.CloseNow() }()
	require.Empty(t, response.Header.Get("Sec-WebSocket-Extensions"))
}

// A queue counts the bytes that are sent.
func TestQueuedBytesCountsCompressedBytes(t *testing.T) {
	queued := make(chan int, 1)
	h := newTestHandler()
	h.open = func(c transport.Conn) {
		c.Send(transport.NewFrame(transport.Text, make([]byte, 50_000)))
		queued <- c.QueuedBytes()
	}
	_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, compressed)
	c, _, err := websocket.Dial(t.Context(), url,
		&websocket.DialOptions{CompressionMode: websocket.CompressionNoContextTakeover})
	require.NoError(t, err)
	defer func() { _ = c.CloseNow() }()
	require.Less(t, <-queued, 1000)
}

// frameClient is a client that sends single frames.
type frameClient struct {
	net.Conn
	in *bufio.Reader
	t  *testing.T
}

func dialRaw(t *testing.T, url, extensions string) frameClient {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(waitTimeout)))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	r.Header = handshake()
	r.Header.Set("Sec-WebSocket-Extensions", extensions)
	require.NoError(t, r.Write(conn))
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, r)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	return frameClient{conn, in, t}
}

// frame sends a frame with a mask of zeros.
func (c frameClient) frame(first byte, payload string) {
	c.t.Helper()
	require.Less(c.t, len(payload), 126)
	_, err := io.WriteString(c, string([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0})+payload)
	require.NoError(c.t, err)
}

// closed reads a close frame and the end of the stream, and returns the code.
func (c frameClient) closed() int {
	c.t.Helper()
	all, err := io.ReadAll(c.in)
	require.NoError(c.t, err)
	require.GreaterOrEqual(c.t, len(all), 4)
	require.Equal(c.t, byte(0x88), all[0])
	return int(all[2])<<8 | int(all[3])
}

func TestCompressionViolationClosesTheConnection(t *testing.T) {
	var bomb strings.Builder
	w, err := flate.NewWriter(&bomb, flate.BestCompression)
	require.NoError(t, err)
	_, err = w.Write(make([]byte, 100_001))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	cases := map[string]struct {
		offer   string
		first   byte
		payload string
		code    int
	}{
		"not negotiated":  {"permessage-deflate; server_max_window_bits=8", 0xC1, "\xf2\x48\xcd\xc9\xc9\x07\x00", 1002},
		"on a ping":       {"permessage-deflate", 0xC9, "", 1002},
		"RSV2 too":        {"permessage-deflate", 0xE1, "\xf2\x48\xcd\xc9\xc9\x07\x00", 1002},
		"garbage":         {"permessage-deflate", 0xC1, "\xff\xff\xff", 1007},
		"bomb":            {"permessage-deflate", 0xC2, bomb.String(), 1009},
		"text is not one": {"permessage-deflate", 0xC1, "\x00\x01\x00\xfe\xff\xff\x00", 1007},
	}
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				h := newTestHandler()
				h.message = func(transport.Kind, []byte) { t.Error("handled") }
				_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, driver, compressed)
				client := dialRaw(t, url, c.offer)
				client.frame(c.first, c.payload)
				// What follows a violation is ignored.
				client.frame(0x81, "late")
				require.Equal(t, c.code, client.closed())
				require.NoError(t, client.Close())
				require.Equal(t, c.code, (<-h.closed).Code)
			})
		}
	})
}

func TestHandshakeIsRefusedIfExtensionsAreMalformed(t *testing.T) {
	_, url := serve(t, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	r.Header = handshake()
	r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate;;")
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, http.StatusBadRequest, response.StatusCode)
}
