package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

// callingHandler is a Handler that gives each message to Go.
type callingHandler struct {
	testHandler
	conn transport.Conn
	// key returns the key of a message.
	key func(message string) string
	// call handles a message in the function of Go.
	call func(ctx context.Context, message string)
}

func (h *callingHandler) OnOpen(c transport.Conn) { h.conn = c }

func (h *callingHandler) OnMessage(ctx context.Context, _ transport.Kind, data []byte) {
	message := string(data)
	h.conn.Go(ctx, h.key(message), func(ctx context.Context) { h.call(ctx, message) })
}

// serveCalls runs a server whose handlers give each message to Go. The key is what comes before a colon.
func serveCalls(t *testing.T, call func(ctx context.Context, c transport.Conn, message string),
	change ...func(*transport.Options)) (s *transport.Server, url string, h *callingHandler) {
	t.Helper()
	h = &callingHandler{testHandler: *newTestHandler()}
	h.key = func(message string) string {
		key, _, _ := strings.Cut(message, ":")
		return key
	}
	h.call = func(ctx context.Context, message string) { call(ctx, h.conn, message) }
	s, url = serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, change...)
	return s, url, h
}

func write(t *testing.T, c *websocket.Conn, messages ...string) {
	t.Helper()
	for _, m := range messages {
		require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte(m)))
	}
}

func TestConnGoRunsFunctionsSideBySideAndKeepsTheOrderOfAKey(t *testing.T) {
	started, release := make(chan string, 100), make(chan struct{})
	var mu sync.Mutex
	var ended []string
	all := make(chan struct{})
	_, url, h := serveCalls(t, func(_ context.Context, _ transport.Conn, message string) {
		started <- message
		<-release
		mu.Lock()
		defer mu.Unlock()
		if ended = append(ended, message); len(ended) == 6 {
			close(all)
		}
	})
	c := dial(t, url)
	write(t, c, "a:1", "a:2", "b:1", ":1", ":2", "a:3")
	first := []string{<-started, <-started, <-started, <-started}
	require.ElementsMatch(t, []string{"a:1", "b:1", ":1", ":2"}, first)
	require.Empty(t, started)
	require.True(t, h.conn.Running("a"))
	require.False(t, h.conn.Running("c"))
	require.False(t, h.conn.Running(""))
	close(release)
	<-all
	require.Equal(t, "a:2", <-started)
	require.Equal(t, "a:3", <-started)
	require.Eventually(t, func() bool { return !h.conn.Running("a") }, waitTimeout, time.Millisecond)
}

// More functions than a connection may run wait, and what the client sends behind them with them.
func TestConnGoIsBounded(t *testing.T) {
	for name, key := range map[string]string{"of no key": "", "of one key": "a"} {
		t.Run(name, func(t *testing.T) {
			started, release := make(chan string, 1000), make(chan struct{})
			done := make(chan struct{}, 1000)
			given := make(chan string, 1000)
			h := &callingHandler{testHandler: *newTestHandler()}
			h.key = func(message string) string {
				given <- message
				return key
			}
			h.call = func(_ context.Context, message string) {
				started <- message
				<-release
				done <- struct{}{}
			}
			_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil })
			c := dial(t, url)
			const messages = 70
			for i := range messages {
				write(t, c, fmt.Sprint(i))
			}
			for range 65 {
				<-given
			}
			require.LessOrEqual(t, len(started), 64)
			require.Empty(t, given, "the handler waits with the 65th")
			close(release)
			for range messages {
				<-done
			}
		})
	}
}

// The context ends when the client leaves, however it does, while the connection's functions run and wait.
func TestConnGoEndsWithTheConnection(t *testing.T) {
	for name, leave := range map[string]func(c *websocket.Conn, s *transport.Server){
		"close frame": func(c *websocket.Conn, _ *transport.Server) {
			go func() { _ = c.Close(websocket.StatusNormalClosure, "") }()
		},
		"end":   func(c *websocket.Conn, _ *transport.Server) { _ = c.CloseNow() },
		"abort": func(_ *websocket.Conn, s *transport.Server) { s.Abort() },
	} {
		t.Run(name, func(t *testing.T) {
			started, canceled := make(chan struct{}, 10), make(chan string, 10)
			s, url, h := serveCalls(t, func(ctx context.Context, _ transport.Conn, message string) {
				started <- struct{}{}
				<-ctx.Done()
				canceled <- message
			})
			c := dial(t, url)
			write(t, c, "a:1", "a:2", "b:1")
			<-started
			<-started
			leave(c, s)
			got := []string{<-canceled, <-canceled, <-canceled}
			require.ElementsMatch(t, []string{"a:1", "a:2", "b:1"}, got)
			<-h.closed
		})
	}
}

func TestConnGoClosesTheConnectionAfterAPanic(t *testing.T) {
	_, url, h := serveCalls(t, func(context.Context, transport.Conn, string) { panic("a fault") })
	c := dial(t, url)
	write(t, c, "a:1")
	_, _, err := c.Read(t.Context())
	require.Equal(t, websocket.StatusInternalError, websocket.CloseStatus(err))
	require.Equal(t, transport.CodeInternal, (<-h.closed).Code)
}

// A large message is charged until its last function has returned.
func TestConnGoKeepsTheChargeOfItsMessage(t *testing.T) {
	const size = 100_000
	release := make(chan struct{})
	started := make(chan struct{}, 10)
	s, url, _ := serveCalls(t, func(_ context.Context, conn transport.Conn, _ string) {
		started <- struct{}{}
		<-release
		conn.SendReply(transport.NewFrame(transport.Text, []byte("done")))
	}, func(o *transport.Options) { o.MaxMessageBytes = 2 * size })
	c := dial(t, url)
	write(t, c, "a:"+strings.Repeat("x", size), "a:small")
	<-started
	require.GreaterOrEqual(t, s.QueuedBytes(), int64(size))
	release <- struct{}{}
	_, reply, err := c.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, "done", string(reply))
	<-started
	require.Eventually(t, func() bool { return s.QueuedBytes() == 0 }, waitTimeout, time.Millisecond,
		"while the function of the small one still runs")
	close(release)
}

// A client's close is noticed behind a message that is being handled.
func TestHandlerContextEndsWhenTheClientCloses(t *testing.T) {
	h := newTestHandler()
	entered, canceled := make(chan struct{}), make(chan struct{})
	blocking := &contextHandler{testHandler: h, message: func(ctx context.Context) {
		close(entered)
		<-ctx.Done()
		close(canceled)
	}}
	_, url := serve(t, func(*http.Request) (transport.Handler, error) { return blocking, nil })
	c := dial(t, url)
	write(t, c, "x")
	<-entered
	require.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
	<-canceled
	require.Equal(t, transport.CodeNormal, (<-h.closed).Code)
}

// contextHandler is a Handler whose OnMessage gets the context.
type contextHandler struct {
	*testHandler
	message func(ctx context.Context)
}

func (h *contextHandler) OnMessage(ctx context.Context, _ transport.Kind, _ []byte) { h.message(ctx) }
