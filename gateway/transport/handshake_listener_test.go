package transport_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

// rawClient is a client that sends and receives bytes.
type rawClient struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func connect(t *testing.T, url string) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	return newRawClient(t, conn)
}

func newRawClient(t *testing.T, conn net.Conn) *rawClient {
	t.Helper()
	require.NoError(t, conn.SetDeadline(time.Now().Add(waitTimeout)))
	t.Cleanup(func() { _ = conn.Close() })
	return &rawClient{conn, t, bufio.NewReader(conn)}
}

func (p *rawClient) write(text string) {
	p.t.Helper()
	_, err := io.WriteString(p, text)
	require.NoError(p.t, err)
}

// readResponse reads an HTTP response with its body.
func (p *rawClient) readResponse() (status int, body string) {
	p.t.Helper()
	answer, err := http.ReadResponse(p.in, nil)
	require.NoError(p.t, err)
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return answer.StatusCode, ""
	}
	content, err := io.ReadAll(answer.Body)
	require.NoError(p.t, err)
	return answer.StatusCode, string(content)
}

// requireClosed waits for the end of the stream.
func (p *rawClient) requireClosed() {
	p.t.Helper()
	rest, err := io.ReadAll(p.in)
	require.NoError(p.t, err)
	require.Empty(p.t, rest)
}

const (
	upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	call = "POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	// hi is a masked text frame with a mask of zeros.
	hi = "\x81\x82\x00\x00\x00\x00hi"
)

// serveEcho runs a server that echoes all messages.
func serveEcho(t *testing.T, change ...func(*transport.Options)) (*transport.Server, string) {
	t.Helper()
	return serve(t, func(*http.Request) (transport.Handler, error) {
		h := newTestHandler()
		var conn transport.Conn
		h.open = func(c transport.Conn) { conn = c }
		h.message = func(kind transport.Kind, data []byte) { conn.Send(transport.NewFrame(kind, data)) }
		return h, nil
	}, append(change, func(o *transport.Options) { o.MaxConnections = 1000 })...)
}

// requireEcho reads the response 101 and the echo of hi.
func (p *rawClient) requireEcho() {
	p.t.Helper()
	status, _ := p.readResponse()
	require.Equal(p.t, http.StatusSwitchingProtocols, status)
	got := make([]byte, 4)
	_, err := io.ReadFull(p.in, got)
	require.NoError(p.t, err)
	require.Equal(p.t, "\x81\x02hi", string(got))
}

// The request may be cut anywhere, and the first frame may follow at once.
func TestHandshakeListenerReadsRequestsInPieces(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		_, url := serveEcho(t, driver)
		for cut := 1; cut <= len(upgrade+hi); cut += 7 {
			p := connect(t, url)
			p.write((upgrade + hi)[:cut])
			// Long enough for the first part to be read alone, most of the time.
			time.Sleep(time.Millisecond)
			p.write((upgrade + hi)[cut:])
			p.requireEcho()
		}
	})
}

func TestHandshakeListenerPassesOtherRequestsToHTTP(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		_, url := serveEcho(t, driver)
		p := connect(t, url)
		for range 3 {
			p.write(call)
			status, body := p.readResponse()
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, "hello", body)
		}
		p.write(upgrade + hi)
		p.requireEcho()

		cases := map[string]struct {
			request string
			status  int
		}{
			"another path":       {"GET /other HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusNotFound},
			"no handshake":       {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusUpgradeRequired},
			"no HTTP":            {"HELO mail.example.com\r\n\r\n", http.StatusBadRequest},
			"bare line feeds":    {"GET /api HTTP/1.0\nHost: x\n\n", http.StatusOK},
			"no HTTP, one line":  {"HELO mail.example.com\r\n", http.StatusBadRequest},
			"a TLS client":       {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", http.StatusBadRequest},
			"no host":            {strings.Replace(upgrade, "Host: x\r\n", "", 1), http.StatusBadRequest},
			"two hosts":          {strings.Replace(upgrade, "Host: x\r\n", "Host: x\r\nhost: y\r\n", 1), http.StatusBadRequest},
			"broken header":      {strings.Replace(upgrade, "Host: x\r\n", "Host: x\r\nA B: c\r\n", 1), http.StatusBadRequest},
			"control characters": {strings.Replace(upgrade, "Host: x\r\n", "Host: x\r\nA: \x01\r\n", 1), http.StatusBadRequest},
			"too long": {"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("x", 2<<20) + "\r\n\r\n",
				http.StatusRequestHeaderFieldsTooLarge},
		}
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				p := connect(t, url)
				// The server may answer and close before it has read everything.
				go func() { _, _ = io.WriteString(p, c.request) }()
				status, _ := p.readResponse()
				require.Equal(t, c.status, status)
			})
		}
	})
}

func TestHandshakeListenerClosesSilentClients(t *testing.T) {
	_, url := serveEcho(t, func(o *transport.Options) { o.HandshakeTimeout = 200 * time.Millisecond })
	silent, slow := connect(t, url), connect(t, url)
	slow.write(upgrade[:40])
	silent.requireClosed()
	slow.requireClosed()
}

// A client that opens many connections and sends nothing keeps no other client out.
func TestHandshakeListenerEvictsTheOldest(t *testing.T) {
	seen := &limitCounter{}
	_, url := serveEcho(t, func(o *transport.Options) { o.MaxHandshakes, o.Observer = 3, seen })
	crowd := make([]*rawClient, 0, 10)
	for range cap(crowd) {
		crowd = append(crowd, connect(t, url))
	}
	p := connect(t, url)
	p.write(upgrade + hi)
	p.requireEcho()
	for _, early := range crowd[:7] {
		early.requireClosed()
	}
	require.GreaterOrEqual(t, seen.evicted.Load(), int64(7))
}

func TestHandshakeListenerCloseEndsPendingConnections(t *testing.T) {
	s := transport.NewServer(transport.Options{HandshakeTimeout: time.Hour, MaxHandshakes: 10})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listener, err := s.HandshakeListener(l, nil)
	require.NoError(t, err)
	silent, stranger := connect(t, "http://"+l.Addr().String()), connect(t, "http://"+l.Addr().String())
	stranger.write(call)
	passed, err := listener.Accept()
	require.NoError(t, err, "the silent client was accepted first")
	require.NoError(t, listener.Close())
	silent.requireClosed()
	require.NoError(t, passed.Close())
	_, err = listener.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	s.Close()
}

func TestRefusalIsACompleteResponse(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		refusal := &transport.Refusal{
			Status:     http.StatusServiceUnavailable,
			Message:    "come back later",
			RetryAfter: 1500 * time.Millisecond,
			Elsewhere:  true,
		}
		_, url := serve(t, func(*http.Request) (transport.Handler, error) { return nil, refusal }, driver,
			func(o *transport.Options) {
				o.Header = http.Header{"Wsfleet-Node": {"a"}}
				o.Affinity = &transport.AffinityCookie{Name: "affinity", Path: "/"}
			})
		_, answer, err := websocket.Dial(t.Context(), url, nil)
		require.Error(t, err)
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Equal(t, "come back later\n", string(body))
		for name, value := range map[string]string{
			"Retry-After":  "2",
			"Wsfleet-Node": "a",
			"Set-Cookie":   "affinity=; Path=/; Max-Age=0; HttpOnly",
			"Content-Type": "text/plain; charset=utf-8",
		} {
			require.Equal(t, value, answer.Header.Get(name))
		}
	})
}

// A client that ends its stream behind its close frame still gets the answer, RFC 6455 section 5.5.1.
func TestConnAnswersTheCloseOfAHalfClosedClient(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		_, url := serveEcho(t, driver)
		for range 200 {
			p := connect(t, url)
			p.write(upgrade + "\x88\x82\x00\x00\x00\x00\x03\xe9")
			require.NoError(t, p.Conn.(*net.TCPConn).CloseWrite())
			status, _ := p.readResponse()
			require.Equal(t, http.StatusSwitchingProtocols, status)
			rest, err := io.ReadAll(p.in)
			require.NoError(t, err)
			require.Equal(t, "\x88\x02\x03\xe9", string(rest))
			require.NoError(t, p.Close())
		}
	})
}

// A client that closed, ended its stream and reads nothing is disconnected in the end.
func TestConnEndsAHalfClosedClientThatDoesNotRead(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		h := newTestHandler()
		h.open = func(c transport.Conn) {
			for range 200 {
				c.Send(transport.NewFrame(transport.Binary, make([]byte, 100_000)))
			}
		}
		_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, driver,
			func(o *transport.Options) {
				o.MaxQueuedBytes = 100 << 20
			})
		p := connect(t, url)
		p.write(upgrade + "\x88\x82\x00\x00\x00\x00\x03\xe9")
		require.NoError(t, p.Conn.(*net.TCPConn).CloseWrite())
		select {
		case <-h.closed:
		case <-time.After(waitTimeout):
			t.Fatal("the connection is still open")
		}
	})
}

// A panic in one handshake ends neither the process nor other handshakes.
func TestHandshakePanicEndsOneConnection(t *testing.T) {
	var met atomic.Bool
	log := &logRecorder{}
	_, url := serve(t, func(*http.Request) (transport.Handler, error) {
		if !met.Swap(true) {
			panic("5ecre7")
		}
		return newTestHandler(), nil
	}, func(o *transport.Options) { o.MaxConnections = 10 }, log.keep)
	p := connect(t, url)
	p.write(upgrade)
	p.requireClosed()
	if runtime.GOOS == "linux" {
		// On other systems net/http recovers, and logs to another logger.
		log.requirePanicWithout(t, "5ecre7")
	}
	dial(t, url)
}
