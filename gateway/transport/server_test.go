package transport_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const waitTimeout = 10 * time.Second

// discardObserver is an Observer that counts nothing.
type discardObserver struct{}

func (discardObserver) ConnectionAccepted(string)                 {}
func (discardObserver) ConnectionRefused(string)                  {}
func (discardObserver) ConnectionClosed(string, int)              {}
func (discardObserver) ClientDropped(string)                      {}
func (discardObserver) MessageReceived(string, int)               {}
func (discardObserver) MessagesSent(string, int, int)             {}
func (discardObserver) MessagesDropped(transport.DropPolicy, int) {}

// testHandler is a Handler with a test's functions.
type testHandler struct {
	open    func(transport.Conn)
	message func(transport.Kind, []byte)
	closed  chan transport.Close
}

func (h *testHandler) OnOpen(c transport.Conn) {
	if h.open != nil {
		h.open(c)
	}
}

func (h *testHandler) OnMessage(_ context.Context, k transport.Kind, data []byte) {
	if h.message != nil {
		h.message(k, data)
	}
}

func (h *testHandler) OnClose(c transport.Close) { h.closed <- c }

func newTestHandler() *testHandler { return &testHandler{closed: make(chan transport.Close, 2)} }

// serve runs a server with one endpoint.
func serve(t *testing.T, accept func(*http.Request) (transport.Handler, error),
	change ...func(*transport.Options)) (s *transport.Server, url string) {
	t.Helper()
	return serveBehind(t, func(_ *transport.Server, l net.Listener) net.Listener { return l }, accept, change...)
}

// serveBehind is serve with a wrapped listener.
func serveBehind(t *testing.T, wrap func(*transport.Server, net.Listener) net.Listener,
	accept func(*http.Request) (transport.Handler, error),
	change ...func(*transport.Options)) (s *transport.Server, url string) {
	t.Helper()
	o := transport.Options{
		MaxConnections:   1,
		MaxMessageBytes:  1000,
		MaxQueuedBytes:   1 << 20,
		HandshakeTimeout: waitTimeout,
		MaxHandshakes:    10,
		CloseTimeout:     time.Second,
		Admit:            func() *transport.Refusal { return nil },
		Observer:         discardObserver{},
		Logger:           slog.New(slog.DiscardHandler),
		Changed:          func() {},
	}
	for _, c := range change {
		c(&o)
	}
	s = transport.NewServer(o)
	e := transport.Endpoint{
		Protocol: "test", Accept: accept,
		Codes: transport.Codes{
			Drain: transport.Close{Code: 1012, Reason: "restart"},
			Rate:  transport.Close{Code: transport.CodePolicy, Reason: "message rate"},
			Slow:  transport.Close{Code: 3008, Reason: "slow"},
		},
	}
	mux := http.NewServeMux()
	mux.Handle("/{$}", s.Endpoint(e))
	mux.HandleFunc("/api", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	web := httptest.NewUnstartedServer(mux)
	var err error
	web.Listener, err = s.HandshakeListener(wrap(s, web.Listener), map[string]*transport.Endpoint{"/": &e})
	require.NoError(t, err)
	web.Start()
	t.Cleanup(func() {
		s.CloseSome(s.Open(), time.Time{})
		require.Eventually(t, func() bool { return s.Open() == 0 }, waitTimeout, time.Millisecond)
		web.Close()
		s.Close()
	})
	return s, web.URL
}

// onEveryDriver runs a test with each kind of driver.
func onEveryDriver(t *testing.T, test func(t *testing.T, driver func(*transport.Options))) {
	t.Helper()
	for name, blocking := range map[string]bool{"event loop": false, "goroutines": true} {
		t.Run(name, func(t *testing.T) {
			test(t, func(o *transport.Options) { o.Blocking = blocking })
		})
	}
}

func dial(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	c, response, err := websocket.Dial(t.Context(), url, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func TestHandshakeFailureClosesTheHandlerAndFreesTheSlot(t *testing.T) {
	h := newTestHandler()
	s, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil })
	endpoint := s.Endpoint(transport.Endpoint{Accept: func(*http.Request) (transport.Handler, error) { return h, nil }})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	for name, value := range handshake() {
		r.Header[name] = value
	}
	// A ResponseRecorder has no socket to take over.
	endpoint.ServeHTTP(httptest.NewRecorder(), r)
	require.Equal(t, transport.CodeAbnormal, (<-h.closed).Code)
	dial(t, url)
	require.Empty(t, h.closed, "once")
}

// handshake returns the header of a client's first request.
func handshake() http.Header {
	h := http.Header{}
	for name, value := range map[string]string{
		"Connection":            "Upgrade",
		"Upgrade":               "websocket",
		"Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key":     "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		h.Set(name, value)
	}
	return h
}

func TestHandshakeIsRefusedIfMalformed(t *testing.T) {
	cases := map[string]struct {
		change func(*http.Request)
		status int
		says   string
	}{
		"method":  {func(r *http.Request) { r.Method = http.MethodPut }, http.StatusMethodNotAllowed, "GET"},
		"upgrade": {func(r *http.Request) { r.Header.Set("Upgrade", "h2c") }, http.StatusUpgradeRequired, "WebSocket"},
		"connection": {func(r *http.Request) { r.Header.Set("Connection", "keep-alive") }, http.StatusUpgradeRequired,
			"WebSocket"},
		"version":    {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "8") }, http.StatusBadRequest, "13"},
		"no version": {func(r *http.Request) { r.Header.Del("Sec-WebSocket-Version") }, http.StatusBadRequest, "13"},
		"no key":     {func(r *http.Request) { r.Header.Del("Sec-WebSocket-Key") }, http.StatusBadRequest, "Key"},
		"short key": {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "c2hvcnQ=") }, http.StatusBadRequest,
			"Key"},
		"key is no64": {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "not base64 at all, sir!!") },
			http.StatusBadRequest, "Key"},
		"two keys": {func(r *http.Request) { r.Header.Add("Sec-WebSocket-Key", r.Header.Get("Sec-WebSocket-Key")) },
			http.StatusBadRequest, "Key"},
		"HTTP/1.0":     {func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 1, 0 }, http.StatusBadRequest, "HTTP/1.1"},
		"HTTP/2":       {func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 2, 0 }, http.StatusBadRequest, "HTTP/1.1"},
		"with a body":  {func(r *http.Request) { r.ContentLength = 5 }, http.StatusBadRequest, "body"},
		"chunked body": {func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }, http.StatusBadRequest, "body"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s, url := serve(t, nil)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			r.Header = handshake()
			c.change(r)
			w := httptest.NewRecorder()
			s.Endpoint(transport.Endpoint{}).ServeHTTP(w, r)
			require.Equal(t, c.status, w.Code)
			require.Contains(t, w.Body.String(), c.says)
		})
	}
}

func TestHandshakeIsRefusedIfAcceptFails(t *testing.T) {
	fail := errors.New("disk on fire")
	_, url := serve(t, func(*http.Request) (transport.Handler, error) { return nil, fail })
	for range 3 {
		_, response, err := websocket.Dial(t.Context(), url, nil)
		require.Error(t, err)
		require.Equal(t, http.StatusInternalServerError, response.StatusCode, "and never 503: the slot is free again")
		require.NotContains(t, err.Error(), "fire")
	}
}

func TestHandlerPanicEndsOneConnection(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		h := newTestHandler()
		h.message = func(_ transport.Kind, data []byte) { panic(string(data)) }
		log := &logRecorder{}
		_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, driver, log.keep)
		c := dial(t, url)
		require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte("5ecre7")))
		_, _, err := c.Read(t.Context())
		require.Equal(t, websocket.StatusInternalError, websocket.CloseStatus(err))
		require.Equal(t, 1011, (<-h.closed).Code)
		log.requirePanicWithout(t, "5ecre7")
	})
}

// logRecorder records a log.
type logRecorder struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logRecorder) keep(o *transport.Options) { o.Logger = slog.New(slog.NewTextHandler(l, nil)) }

// Write takes an entry.
func (l *logRecorder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logRecorder) requirePanicWithout(t *testing.T, value string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Contains(t, l.text.String(), "panic.type=string")
	require.Contains(t, l.text.String(), "goroutine")
	require.NotContains(t, l.text.String(), value)
}

func TestCloseFollowsEverythingQueued(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		h := newTestHandler()
		var conn atomic.Value
		h.open = func(c transport.Conn) {
			conn.Store(c)
			for range 100 {
				require.True(t, c.Send(transport.NewFrame(transport.Text, []byte("m"))))
			}
			c.Close(transport.Close{Code: 4000, Reason: "first"})
			c.Close(transport.Close{Code: 4001, Reason: "second"})
			require.False(t, c.Send(transport.NewFrame(transport.Text, []byte("late"))))
		}
		s, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, driver)
		c := dial(t, url)
		for range 100 {
			_, data, err := c.Read(t.Context())
			require.NoError(t, err)
			require.Equal(t, "m", string(data))
		}
		_, _, err := c.Read(t.Context())
		require.Equal(t, websocket.StatusCode(4000), websocket.CloseStatus(err))
		require.Equal(t, transport.Close{Code: 4000, Reason: "first"}, <-h.closed)
		require.Zero(t, s.Remaining())
		require.Zero(t, conn.Load().(transport.Conn).QueuedBytes())
	})
}

func TestCloseEndsTheHandlingOfMessages(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		h := newTestHandler()
		var handled atomic.Int32
		h.open = func(c transport.Conn) { c.Close(transport.Close{Code: 4000}) }
		h.message = func(transport.Kind, []byte) { handled.Add(1) }
		_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, driver)
		c := dial(t, url)
		for range 10 {
			_ = c.Write(t.Context(), websocket.MessageText, []byte("x"))
		}
		_, _, err := c.Read(t.Context())
		require.Equal(t, websocket.StatusCode(4000), websocket.CloseStatus(err))
		<-h.closed
		require.Zero(t, handled.Load())
	})
}

func TestCloseSomeClosesWithTheDrainCode(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		h := newTestHandler()
		s, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, driver)
		c := dial(t, url)
		require.Eventually(t, func() bool { return s.Remaining() == 1 }, waitTimeout, time.Millisecond)
		require.Zero(t, s.CloseSome(0, time.Time{}))
		require.Equal(t, 1, s.CloseSome(5, time.Time{}))
		require.Zero(t, s.CloseSome(5, time.Time{}), "no connection is closed twice")
		require.Zero(t, s.Remaining())
		_, _, err := c.Read(t.Context())
		require.True(t, strings.HasSuffix(err.Error(), `reason = "restart"`), err)
	})
}

// resumingHandler is the handler of a client that misses nothing while it is away.
type resumingHandler struct{ *testHandler }

func (resumingHandler) Resumes() bool { return true }

func TestCloseResumableClosesThoseThatMissNothing(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		plain, resuming := newTestHandler(), resumingHandler{newTestHandler()}
		s, url := serve(t, func(r *http.Request) (transport.Handler, error) {
			if r.URL.RawQuery == "resumes" {
				return resuming, nil
			}
			return plain, nil
		}, driver, func(o *transport.Options) { o.MaxConnections = 10 })
		dial(t, url)
		c := dial(t, url+"?resumes")
		require.Eventually(t, func() bool { return s.Remaining() == 2 }, waitTimeout, time.Millisecond)
		require.Zero(t, s.CloseResumable(0, time.Time{}))
		require.Zero(t, s.CloseResumable(5, time.Now().Add(-time.Hour)), "they were opened later")
		require.Equal(t, 1, s.CloseResumable(5, time.Time{}))
		require.Zero(t, s.CloseResumable(5, time.Time{}))
		_, _, err := c.Read(t.Context())
		require.Equal(t, websocket.StatusServiceRestart, websocket.CloseStatus(err))
		require.Equal(t, 1, s.Remaining())
		require.Equal(t, 1, s.CloseSome(5, time.Time{}))
	})
}

func TestCloseSomeSparesConnectionsThatWereOpenedLater(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		served := make(chan struct{}, 1)
		s, url := serve(t, func(*http.Request) (transport.Handler, error) {
			h := newTestHandler()
			h.message = func(transport.Kind, []byte) { served <- struct{}{} }
			return h, nil
		}, driver, func(o *transport.Options) { o.MaxConnections = 10 })
		early := dial(t, url)
		// The client may have its answer before the server has its connection.
		require.NoError(t, early.Write(t.Context(), websocket.MessageText, []byte("hi")))
		<-served
		between := time.Now()
		late := dial(t, url)
		require.Zero(t, s.CloseSome(5, between.Add(-time.Hour)))
		require.Equal(t, 1, s.CloseSome(5, between))
		_, _, err := early.Read(t.Context())
		require.Equal(t, websocket.StatusServiceRestart, websocket.CloseStatus(err))
		// The client may have its answer before the server has its connection.
		require.Eventually(t, func() bool { return s.CloseSome(5, time.Now()) == 1 }, waitTimeout, time.Millisecond)
		_, _, err = late.Read(t.Context())
		require.Equal(t, websocket.StatusServiceRestart, websocket.CloseStatus(err))
	})
}

// A handshake that is not answered yet belongs to a client that was opened after any time.
func TestCloseSomeSparesHandshakesUnderWay(t *testing.T) {
	h := newTestHandler()
	entered, release := make(chan struct{}), make(chan struct{})
	h.open = func(transport.Conn) {
		close(entered)
		<-release
	}
	s, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil })
	p := connect(t, url)
	p.write(upgrade + hi)
	<-entered
	require.Zero(t, s.CloseSome(1, time.Now().Add(time.Hour)))
	require.Equal(t, 1, s.CloseSome(1, time.Time{}))
	close(release)
	status, _ := p.readResponse()
	require.Equal(t, http.StatusSwitchingProtocols, status)
}

// A client that gets the response can rely on what OnOpen set up, such as its subscriptions.
func TestHandshakeIsAnsweredAfterOnOpen(t *testing.T) {
	h := newTestHandler()
	entered, release := make(chan struct{}), make(chan struct{})
	h.open = func(transport.Conn) {
		close(entered)
		<-release
	}
	_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil })
	dialed := make(chan *websocket.Conn, 1)
	go func() {
		c, _, err := websocket.Dial(t.Context(), url, nil)
		if err != nil {
			t.Error(err)
		}
		dialed <- c
	}()
	<-entered
	select {
	case <-dialed:
		t.Error("the handshake was answered before OnOpen was done")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if c := <-dialed; c != nil {
		_ = c.CloseNow()
	}
}

// A drain that finds no connection is over at once, so a handshake that began before must be refused.
func TestHandshakeDuringWhichADrainBeginsIsRefused(t *testing.T) {
	h := newTestHandler()
	var shut atomic.Bool
	opened := false
	h.open = func(transport.Conn) { opened = true }
	accept := func(*http.Request) (transport.Handler, error) {
		shut.Store(true)
		return h, nil
	}
	s, url := serve(t, accept, func(o *transport.Options) {
		o.Admit = func() *transport.Refusal {
			if shut.Load() {
				return &transport.Refusal{Status: http.StatusServiceUnavailable, Reason: "draining", Message: "too late"}
			}
			return nil
		}
	})
	_, response, err := websocket.Dial(t.Context(), url, nil)
	require.Error(t, err)
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	<-h.closed
	require.False(t, opened)
	require.Zero(t, s.Open())
	require.Zero(t, s.Remaining())
}

// A gateway that refuses many clients must not run out of file descriptors.
func TestRefusalDisconnectsTheClient(t *testing.T) {
	_, url := serve(t, func(*http.Request) (transport.Handler, error) {
		return nil, &transport.Refusal{Status: http.StatusServiceUnavailable, Message: "no"}
	})
	for status, handshake := range map[int]string{
		http.StatusServiceUnavailable: "Connection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
		http.StatusUpgradeRequired: "",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(waitTimeout)))
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n"+handshake+"\r\n")
		require.NoError(t, err)
		answer, err := io.ReadAll(conn)
		require.NoError(t, err, "the answer ends with the connection")
		require.Contains(t, string(answer), "HTTP/1.1 "+strconv.Itoa(status))
		require.NoError(t, conn.Close())
	}
}

// A message before the client's close frame is handled, however soon the close frame follows.
func TestConnHandlesMessagesBeforeTheClose(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		h := newTestHandler()
		var got []string
		h.message = func(_ transport.Kind, data []byte) {
			time.Sleep(time.Millisecond)
			got = append(got, string(data))
		}
		_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, driver)
		c := dial(t, url)
		want := make([]string, 0, 20)
		for i := range cap(want) {
			want = append(want, strconv.Itoa(i))
			require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte(want[i])))
		}
		require.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
		require.Equal(t, transport.CodeNormal, (<-h.closed).Code)
		require.Equal(t, want, got)
	})
}

// What does not fit into the send buffer is written later, completely and in order.
func TestConnWritesMoreThanTheSendBuffer(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		const frames, length = 400, 100_000
		h := newTestHandler()
		opened := make(chan transport.Conn, 1)
		h.open = func(c transport.Conn) { opened <- c }
		_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, driver,
			func(o *transport.Options) {
				o.MaxQueuedBytes = 2 * frames * length
			})
		c := dial(t, url)
		c.SetReadLimit(-1)
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
			require.Equal(t, byte(i), data[0])
			require.Equal(t, byte(i), data[length-1])
		}
		require.Eventually(t, func() bool { return conn.QueuedBytes() == 0 }, waitTimeout, time.Millisecond)
	})
}

// The gateway stops reading from a client whose handler does not keep up.
func TestConnPausesReadingWhileTheHandlerBlocks(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		h := newTestHandler()
		release := make(chan struct{})
		var handled atomic.Int32
		h.message = func(transport.Kind, []byte) {
			<-release
			handled.Add(1)
		}
		_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, driver)
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close()) }()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		r.Header = handshake()
		require.NoError(t, r.Write(conn))
		answer := make([]byte, 4096)
		_, err = conn.Read(answer)
		require.NoError(t, err)

		message := append([]byte{0x82, 0x80 | 126, 0x03, 0xE8, 0, 0, 0, 0}, make([]byte, 1000)...)
		sent := 0
		for {
			require.NoError(t, conn.SetWriteDeadline(time.Now().Add(200*time.Millisecond)))
			n, err := conn.Write(message[sent%len(message):])
			sent += n
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			require.NoError(t, err)
			require.Less(t, sent, 64<<20, "the gateway reads on")
		}
		close(release)
		whole := int32(sent / len(message))
		require.Eventually(t, func() bool { return handled.Load() == whole }, waitTimeout, time.Millisecond)
	})
}

// A ping is answered at once, with its payload.
func TestConnAnswersPings(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		_, url := serveEcho(t, driver)
		p := connect(t, url)
		p.write(upgrade)
		status, _ := p.readResponse()
		require.Equal(t, http.StatusSwitchingProtocols, status)
		for range 3 {
			p.write("\x89\x82\x00\x00\x00\x00hi")
			pong := make([]byte, 4)
			_, err := io.ReadFull(p.in, pong)
			require.NoError(t, err)
			require.Equal(t, "\x8a\x02hi", string(pong))
		}
	})
}

// lingeringHandler is a handler whose OnClose blocks until the test releases it.
type lingeringHandler struct {
	*testHandler
	ending, release chan struct{}
}

func (h *lingeringHandler) OnClose(transport.Close) {
	h.ending <- struct{}{}
	<-h.release
}

// Clients that are cut off together come back before the gateway has worked through the ends of their connections: a
// full gateway lets them wait, and does not refuse them.
func TestServerLetsClientsWaitForConnectionsThatEnd(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		h := &lingeringHandler{newTestHandler(), make(chan struct{}, 2), make(chan struct{})}
		_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, driver)
		first := dial(t, url)
		_, response, err := websocket.Dial(t.Context(), url, nil)
		require.Error(t, err)
		require.Equal(t, http.StatusServiceUnavailable, response.StatusCode, "the first client is still there")

		require.NoError(t, first.CloseNow())
		<-h.ending
		statuses := make(chan int, 2)
		for range cap(statuses) {
			client := connect(t, url)
			client.write(upgrade)
			go func() {
				status, _ := client.readResponse()
				statuses <- status
			}()
		}
		require.Equal(t, http.StatusServiceUnavailable, <-statuses, "one place becomes free, for one of them")
		close(h.release)
		require.Equal(t, http.StatusSwitchingProtocols, <-statuses)
	})
}
