package transport_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/certtest"
)

// tlsServer is a server behind TLS, with what a client needs to connect.
type tlsServer struct {
	*transport.Server
	address string
	config  *tls.Config
	http    *http.Client
}

// onEveryTLSDriver runs a test with each version of TLS and each kind of driver.
func onEveryTLSDriver(t *testing.T,
	test func(t *testing.T, serve func(h func() *testHandler, change ...func(*transport.Options)) tlsServer)) {
	t.Helper()
	pair := certtest.New(t, "gateway")
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(tls.VersionName(version), func(t *testing.T) {
				config := certtest.Client(t, pair)
				config.MinVersion, config.MaxVersion = version, version
				test(t, func(h func() *testHandler, change ...func(*transport.Options)) tlsServer {
					wrap := func(s *transport.Server, l net.Listener) net.Listener { return s.TLSListener(l, pair.Server(t)) }
					accept := func(*http.Request) (transport.Handler, error) { return h(), nil }
					s, url := serveBehind(t, wrap, accept, append(change, driver)...)
					web := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
					return tlsServer{s, strings.TrimPrefix(url, "http://"), config, &http.Client{Transport: web}}
				})
			})
		}
	})
}

func (s tlsServer) dial(t *testing.T) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), "wss://"+s.address, &websocket.DialOptions{HTTPClient: s.http})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.CloseNow() })
	c.SetReadLimit(-1)
	return c
}

// raw returns a connected client that sends and receives bytes.
func (s tlsServer) raw(t *testing.T, nc net.Conn) frameClient {
	t.Helper()
	c := tls.Client(nc, s.config)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(waitTimeout)))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.address, nil)
	r.Header = handshake()
	require.NoError(t, r.Write(c))
	in := bufio.NewReader(c)
	response, err := http.ReadResponse(in, r)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	return frameClient{c, in, t}
}

func (s tlsServer) tcp(t *testing.T) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", s.address)
	require.NoError(t, err)
	return nc
}

func one(h *testHandler) func() *testHandler { return func() *testHandler { return h } }

func TestTLSConnEchoes(t *testing.T) {
	onEveryTLSDriver(t, func(t *testing.T, serve func(func() *testHandler, ...func(*transport.Options)) tlsServer) {
		c := serve(echo, compressed).dial(t)
		for _, n := range []int{0, 1, 125, 16_383, 16_384, 16_385, 100_000} {
			content := strings.Repeat("x", n)
			require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte(content)))
			_, got, err := c.Read(t.Context())
			require.NoError(t, err)
			require.Equal(t, content, string(got))
		}
		require.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
	})
}

func TestTLSConnHandlesMessagesBeforeTheClose(t *testing.T) {
	onEveryTLSDriver(t, func(t *testing.T, serve func(func() *testHandler, ...func(*transport.Options)) tlsServer) {
		h := newTestHandler()
		var got []string
		h.message = func(_ transport.Kind, data []byte) { got = append(got, string(data)) }
		c := serve(one(h)).dial(t)
		var want []string
		for i := range 20 {
			want = append(want, strconv.Itoa(i))
			require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte(want[i])))
		}
		require.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
		require.Equal(t, transport.CodeNormal, (<-h.closed).Code)
		require.Equal(t, want, got)
	})
}

// What does not fit into the send buffer is written later, completely and in order.
func TestTLSConnWritesMoreThanTheSendBuffer(t *testing.T) {
	onEveryTLSDriver(t, func(t *testing.T, serve func(func() *testHandler, ...func(*transport.Options)) tlsServer) {
		const frames, length = 200, 100_000
		h := newTestHandler()
		opened := make(chan transport.Conn, 1)
		h.open = func(c transport.Conn) { opened <- c }
		c := serve(one(h), func(o *transport.Options) { o.MaxQueuedBytes = 2 * frames * length }).dial(t)
		conn := <-opened
		for i := range frames {
			payload := make([]byte, length+i)
			payload[0], payload[length-1] = byte(i), byte(i)
			require.True(t, conn.Send(transport.NewFrame(transport.Binary, payload)))
		}
		require.Positive(t, conn.QueuedBytes())
		for i := range frames {
			_, data, err := c.Read(t.Context())
			require.NoError(t, err)
			require.Len(t, data, length+i)
			require.Equal(t, []byte{byte(i), byte(i)}, []byte{data[0], data[length-1]})
		}
		require.Eventually(t, func() bool { return conn.QueuedBytes() == 0 }, waitTimeout, time.Millisecond)
	})
}

// The gateway stops reading from a client whose handler does not keep up.
func TestTLSConnPausesReadingWhileTheHandlerBlocks(t *testing.T) {
	onEveryTLSDriver(t, func(t *testing.T, serve func(func() *testHandler, ...func(*transport.Options)) tlsServer) {
		h := newTestHandler()
		release := make(chan struct{})
		var handled atomic.Int32
		h.message = func(transport.Kind, []byte) {
			<-release
			handled.Add(1)
		}
		s := serve(one(h))
		nc := s.tcp(t)
		client := s.raw(t, nc)
		message := append([]byte{0x82, 0x80 | 126, 0x03, 0xE8, 0, 0, 0, 0}, make([]byte, 1000)...)
		sent := int32(0)
		for {
			// A TLS write cannot continue after its timeout, so the last message may be incomplete.
			require.NoError(t, client.SetWriteDeadline(time.Now().Add(200*time.Millisecond)))
			if _, err := client.Write(message); errors.Is(err, os.ErrDeadlineExceeded) {
				break
			} else if err != nil {
				require.NoError(t, err)
			}
			sent++
			require.Less(t, sent, int32(64<<10), "the gateway reads on")
		}
		close(release)
		require.Eventually(t, func() bool { return handled.Load() >= sent }, waitTimeout, time.Millisecond)
		require.NoError(t, nc.Close())
		<-h.closed
	})
}

func TestTLSConnSendsTheCloseBeforeTheEnd(t *testing.T) {
	onEveryTLSDriver(t, func(t *testing.T, serve func(func() *testHandler, ...func(*transport.Options)) tlsServer) {
		t.Run("after a violation", func(t *testing.T) {
			h := newTestHandler()
			s := serve(one(h))
			client := s.raw(t, s.tcp(t))
			client.frame(0xC1, "")
			require.Equal(t, 1002, client.closed(), "a close frame, a close_notify, no reset")
			require.NoError(t, client.Close())
			<-h.closed
		})
		t.Run("in a drain", func(t *testing.T) {
			h := newTestHandler()
			s := serve(one(h))
			c := s.dial(t)
			require.Eventually(t, func() bool { return s.CloseSome(1, time.Time{}) == 1 }, waitTimeout, time.Millisecond)
			_, _, err := c.Read(t.Context())
			require.Equal(t, websocket.StatusCode(1012), websocket.CloseStatus(err))
			<-h.closed
		})
	})
}

// The stream may end with close_notify, without it, or with invalid records.
func TestTLSConnEndsWithTheStream(t *testing.T) {
	onEveryTLSDriver(t, func(t *testing.T, serve func(func() *testHandler, ...func(*transport.Options)) tlsServer) {
		for name, end := range map[string]func(c frameClient, nc net.Conn){
			"close_notify":    func(c frameClient, _ net.Conn) { require.NoError(t, c.Conn.(*tls.Conn).CloseWrite()) },
			"no close_notify": func(_ frameClient, nc net.Conn) { require.NoError(t, nc.(*net.TCPConn).CloseWrite()) },
			"forged record": func(_ frameClient, nc net.Conn) {
				_, _ = io.WriteString(nc, "\x17\x03\x03\x00\x20"+strings.Repeat("x", 32))
			},
			"no record": func(_ frameClient, nc net.Conn) { _, _ = io.WriteString(nc, "GET / HTTP/1.1\r\n\r\n") },
		} {
			t.Run(name, func(t *testing.T) {
				h := newTestHandler()
				got := make(chan string, 1)
				h.message = func(_ transport.Kind, data []byte) { got <- string(data) }
				s := serve(one(h))
				nc := s.tcp(t)
				c := s.raw(t, nc)
				c.frame(0x81, "last")
				end(c, nc)
				require.Equal(t, "last", <-got)
				require.Equal(t, transport.CodeAbnormal, (<-h.closed).Code)
				_, err := io.ReadAll(c.in)
				require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the gateway has closed its side")
			})
		}
	})
}

// byteWiseConn writes byte by byte, some of them in packets of their own.
type byteWiseConn struct{ net.Conn }

func (s byteWiseConn) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := s.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

func TestTLSConnReadsRecordsByteByByte(t *testing.T) {
	onEveryTLSDriver(t, func(t *testing.T, serve func(func() *testHandler, ...func(*transport.Options)) tlsServer) {
		s := serve(echo)
		c := s.raw(t, byteWiseConn{s.tcp(t)})
		for i := range 100 {
			want := "message " + strconv.Itoa(i)
			c.frame(0x81, want)
			got := make([]byte, 2+len(want))
			_, err := io.ReadFull(c.in, got)
			require.NoError(t, err)
			require.Equal(t, want, string(got[2:]))
		}
	})
}

// The handshake and the first frames arrive in one packet, so crypto/tls holds records that nothing has
// read yet.
func TestTLSConnReceivesFramesBehindTheHandshake(t *testing.T) {
	onEveryTLSDriver(t, func(t *testing.T, serve func(func() *testHandler, ...func(*transport.Options)) tlsServer) {
		h := newTestHandler()
		got := make(chan string, 10)
		h.message = func(_ transport.Kind, data []byte) { got <- string(data) }
		s := serve(one(h))
		nc := &bufferingConn{Conn: s.tcp(t)}
		c := tls.Client(nc, s.config)
		defer func() { _ = c.Close() }()
		require.NoError(t, c.Handshake())
		nc.buffering = true
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.address, nil)
		r.Header = handshake()
		require.NoError(t, r.Write(c))
		for _, payload := range []string{"a", "b", "c"} {
			_, err := io.WriteString(c, "\x81\x81\x00\x00\x00\x00"+payload)
			require.NoError(t, err)
		}
		_, err := nc.Conn.Write(nc.held)
		require.NoError(t, err)
		for _, want := range []string{"a", "b", "c"} {
			require.Equal(t, want, <-got)
		}
		require.NoError(t, nc.Close())
		<-h.closed
	})
}

// bufferingConn keeps what is written once buffering is set.
type bufferingConn struct {
	net.Conn
	buffering bool
	held      []byte
}

func (c *bufferingConn) Write(b []byte) (int, error) {
	if !c.buffering {
		return c.Conn.Write(b)
	}
	c.held = append(c.held, b...)
	return len(b), nil
}
