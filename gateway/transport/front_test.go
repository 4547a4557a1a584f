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

// peer is a client that speaks bytes.
type peer struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func connect(t *testing.T, url string) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	return speaker(t, conn)
}

func speaker(t *testing.T, conn net.Conn) *peer {
	t.Helper()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { _ = conn.Close() })
	return &peer{conn, t, bufio.NewReader(conn)}
}

func (p *peer) say(what string) {
	p.t.Helper()
	_, err := io.WriteString(p, what)
	require.NoError(p.t, err)
}

// hear reads an HTTP answer with its body.
func (p *peer) hear() (status int, body string) {
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

// gone waits for the end of the stream.
func (p *peer) gone() {
	p.t.Helper()
	rest, err := io.ReadAll(p.in)
	require.NoError(p.t, err)
	require.Empty(p.t, rest)
}

const (
	upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	call    = "POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	// hi is a masked text frame, with a mask of zeros.
	hi = "\x81\x82\x00\x00\x00\x00hi"
)

// echoing is a server whose clients get back what they send.
func echoing(t *testing.T, change ...func(*transport.Options)) (*transport.Server, string) {
	t.Helper()
	return serve(t, func(*http.Request) (transport.Handler, error) {
		h := newHandler()
		var conn transport.Conn
		h.open = func(c transport.Conn) { conn = c }
		h.message = func(kind transport.Kind, data []byte) { conn.Send(transport.NewFrame(kind, data)) }
		return h, nil
	}, append(change, func(o *transport.Options) { o.MaxConnections = 1000 })...)
}

func (p *peer) echo() {
	p.t.Helper()
	status, _ := p.hear()
	require.Equal(p.t, http.StatusSwitchingProtocols, status)
	got := make([]byte, 4)
	_, err := io.ReadFull(p.in, got)
	require.NoError(p.t, err)
	require.Equal(p.t, "\x81\x02hi", string(got))
}

// However a request is cut, and with the first frame behind it or not.
func TestHandshakeInPieces(t *testing.T) {
	onEveryWire(t, func(t *testing.T, wire func(*transport.Options)) {
		_, url := echoing(t, wire)
		for cut := 1; cut <= len(upgrade+hi); cut += 7 {
			p := connect(t, url)
			p.say((upgrade + hi)[:cut])
			// Long enough to be read by itself, most of the time.
			time.Sleep(time.Millisecond)
			p.say((upgrade + hi)[cut:])
			p.echo()
		}
	})
}

func TestOtherRequestsReachTheHTTPServer(t *testing.T) {
	onEveryWire(t, func(t *testing.T, wire func(*transport.Options)) {
		_, url := echoing(t, wire)
		p := connect(t, url)
		for range 3 {
			p.say(call)
			status, body := p.hear()
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, "hello", body)
		}
		p.say(upgrade + hi)
		p.echo()

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
			"too long":           {"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("x", 2<<20) + "\r\n\r\n", http.StatusRequestHeaderFieldsTooLarge},
		}
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				p := connect(t, url)
				// The server may answer and hang up before it has all of it.
				go func() { _, _ = io.WriteString(p, c.request) }()
				status, _ := p.hear()
				require.Equal(t, c.status, status)
			})
		}
	})
}

func TestWhoSaysNothingIsLetGo(t *testing.T) {
	_, url := echoing(t, func(o *transport.Options) { o.HandshakeTimeout = 200 * time.Millisecond })
	silent, slow := connect(t, url), connect(t, url)
	slow.say(upgrade[:40])
	silent.gone()
	slow.gone()
}

// Whoever opens many connections and says nothing keeps nobody out.
func TestLongestSilentMakesRoom(t *testing.T) {
	seen := &tally{}
	_, url := echoing(t, func(o *transport.Options) { o.MaxHandshakes, o.Observer = 3, seen })
	crowd := make([]*peer, 0, 10)
	for range cap(crowd) {
		crowd = append(crowd, connect(t, url))
	}
	p := connect(t, url)
	p.say(upgrade + hi)
	p.echo()
	for _, early := range crowd[:7] {
		early.gone()
	}
	require.GreaterOrEqual(t, seen.crowded.Load(), int64(7))
}

func TestSilentClientsDoNotOutliveTheListener(t *testing.T) {
	s := transport.NewServer(transport.Options{HandshakeTimeout: time.Hour, MaxHandshakes: 10})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	front, err := s.HandshakeListener(l, nil)
	require.NoError(t, err)
	silent, stranger := connect(t, "http://"+l.Addr().String()), connect(t, "http://"+l.Addr().String())
	stranger.say(call)
	handed, err := front.Accept()
	require.NoError(t, err, "by then the silent one, who came first, is known")
	require.NoError(t, front.Close())
	silent.gone()
	require.NoError(t, handed.Close())
	_, err = front.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	s.Close()
}

func TestRefusalsAreWholeAnswers(t *testing.T) {
	onEveryWire(t, func(t *testing.T, wire func(*transport.Options)) {
		refusal := &transport.Refusal{
			Status: http.StatusServiceUnavailable, Message: "come back later", RetryAfter: 1500 * time.Millisecond,
			Cookie: &http.Cookie{Name: "affinity", Path: "/", MaxAge: -1},
		}
		_, url := serve(t, func(*http.Request) (transport.Handler, error) { return nil, refusal }, wire, func(o *transport.Options) {
			o.Header = http.Header{"Wsfleet-Node": {"a"}}
		})
		_, answer, err := websocket.Dial(t.Context(), url, nil)
		require.Error(t, err)
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Equal(t, "come back later\n", string(body))
		for name, value := range map[string]string{
			"Retry-After": "2", "Wsfleet-Node": "a", "Set-Cookie": "affinity=; Path=/; Max-Age=0", "Content-Type": "text/plain; charset=utf-8",
		} {
			require.Equal(t, value, answer.Header.Get(name))
		}
	})
}

// A peer that ends its stream together with its close frame still gets ours, RFC 6455 section 5.5.1.
func TestCloseIsAnsweredToAHalfClosedPeer(t *testing.T) {
	onEveryWire(t, func(t *testing.T, wire func(*transport.Options)) {
		_, url := echoing(t, wire)
		for range 200 {
			p := connect(t, url)
			p.say(upgrade + "\x88\x82\x00\x00\x00\x00\x03\xe9")
			require.NoError(t, p.Conn.(*net.TCPConn).CloseWrite())
			status, _ := p.hear()
			require.Equal(t, http.StatusSwitchingProtocols, status)
			rest, err := io.ReadAll(p.in)
			require.NoError(t, err)
			require.Equal(t, "\x88\x02\x03\xe9", string(rest))
			require.NoError(t, p.Close())
		}
	})
}

// A peer that has said its close and its end, and reads nothing, does not stay for ever.
func TestFullHalfClosedPeerIsLetGo(t *testing.T) {
	onEveryWire(t, func(t *testing.T, wire func(*transport.Options)) {
		h := newHandler()
		h.open = func(c transport.Conn) {
			for range 200 {
				c.Send(transport.NewFrame(transport.Binary, make([]byte, 100_000)))
			}
		}
		_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, wire, func(o *transport.Options) {
			o.MaxQueuedBytes = 100 << 20
		})
		p := connect(t, url)
		p.say(upgrade + "\x88\x82\x00\x00\x00\x00\x03\xe9")
		require.NoError(t, p.Conn.(*net.TCPConn).CloseWrite())
		select {
		case <-h.closed:
		case <-time.After(patience):
			t.Fatal("it is still there")
		}
	})
}

// A bug met by one handshake ends neither the process nor the others.
func TestBugMetByOneHandshakeEndsThatOne(t *testing.T) {
	var met atomic.Bool
	log := &logbook{}
	_, url := serve(t, func(*http.Request) (transport.Handler, error) {
		if !met.Swap(true) {
			panic("5ecre7")
		}
		return newHandler(), nil
	}, func(o *transport.Options) { o.MaxConnections = 10 }, log.keep)
	p := connect(t, url)
	p.say(upgrade)
	p.gone()
	if runtime.GOOS == "linux" {
		// Elsewhere net/http answers, and its server's log is another.
		log.tellsOfABugWithout(t, "5ecre7")
	}
	dial(t, url)
}
