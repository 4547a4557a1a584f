package transport_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

// replyingHandler answers every message with large replies, and calls WaitWritable before each.
type replyingHandler struct {
	conn transport.Conn
	// replies is the number of replies to a message.
	replies int
	answer  transport.Frame
	// waits is closed before the first WaitWritable that has to wait.
	waits chan struct{}
	once  sync.Once
	// maxQueued is the maximum number of bytes that waited.
	maxQueued int
	// ended gets whether the last message got all its replies.
	ended chan bool
	// within changes the context of WaitWritable.
	within func(context.Context) context.Context
	closed chan transport.Close
}

const queueLimit = 64 << 10

func newReplyingHandler(replies int) *replyingHandler {
	return &replyingHandler{
		replies: replies,
		answer:  transport.NewFrame(transport.Binary, make([]byte, queueLimit-100)),
		waits:   make(chan struct{}),
		ended:   make(chan bool, 1),
		within:  func(ctx context.Context) context.Context { return ctx },
		closed:  make(chan transport.Close, 1),
	}
}

func (h *replyingHandler) OnOpen(c transport.Conn) { h.conn = c }

func (h *replyingHandler) OnMessage(ctx context.Context, _ transport.Kind, _ []byte) {
	ctx = h.within(ctx)
	for range h.replies {
		if h.conn.QueuedBytes() > queueLimit/2 {
			h.once.Do(func() { close(h.waits) })
		}
		if !h.conn.WaitWritable(ctx) {
			h.ended <- false
			return
		}
		if !h.conn.QueueReply(h.answer) {
			h.ended <- false
			return
		}
		h.maxQueued = max(h.maxQueued, h.conn.QueuedBytes())
		h.conn.Flush()
	}
	h.ended <- true
}

func (h *replyingHandler) OnClose(c transport.Close) { h.closed <- c }

// endless is more replies than the sockets' buffers hold.
const endless = 1 << 10

// ask connects a client with a small receive buffer, and sends a message.
func ask(t *testing.T, h *replyingHandler, change ...func(*transport.Options)) *websocket.Conn {
	t.Helper()
	change = append(change, func(o *transport.Options) { o.MaxQueuedBytes = queueLimit })
	_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, change...)
	dialer := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(queueLimit)
		}
		return c, err
	}}
	c, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: dialer}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.CloseNow() })
	c.SetReadLimit(2 * queueLimit)
	require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte("all")))
	return c
}

// receive receives a value, and fails the test after waitTimeout.
func receive[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(waitTimeout):
		require.FailNow(t, "no value")
	}
	return v
}

func TestWaitWritableReturnsAtOnceBelowHalf(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		h := newReplyingHandler(1)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		h.within = func(context.Context) context.Context { return over }
		ask(t, h, driver)
		require.True(t, receive(t, h.ended), "a wait would end with its context")
	})
}

// A handler with many replies queues no more than its client's limit.
func TestWaitWritableLimitsReplies(t *testing.T) {
	const answers = 300
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		h := newReplyingHandler(answers)
		c := ask(t, h, driver)
		receive(t, h.waits)
		for range answers {
			_, data, err := c.Read(t.Context())
			require.NoError(t, err)
			require.Len(t, data, queueLimit-100)
		}
		require.True(t, receive(t, h.ended))
		require.LessOrEqual(t, h.maxQueued, queueLimit/2+h.answer.Len())
	})
}

func TestWaitWritableEnds(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		t.Run("with their context", func(t *testing.T) {
			h := newReplyingHandler(endless)
			within, cancel := context.WithCancel(t.Context())
			h.within = func(context.Context) context.Context { return within }
			ask(t, h, driver)
			receive(t, h.waits)
			cancel()
			require.False(t, receive(t, h.ended))
			require.Empty(t, h.closed, "the connection stays open")
		})
		t.Run("with the client", func(t *testing.T) {
			h := newReplyingHandler(endless)
			c := ask(t, h, driver)
			receive(t, h.waits)
			require.NoError(t, c.CloseNow())
			require.False(t, receive(t, h.ended))
			require.Equal(t, transport.CodeAbnormal, receive(t, h.closed).Code)
		})
		t.Run("with a close that the client does not read", func(t *testing.T) {
			h := newReplyingHandler(endless)
			ask(t, h, driver)
			receive(t, h.waits)
			h.conn.Close(transport.Close{Code: 4000})
			require.False(t, receive(t, h.ended))
			require.Equal(t, 4000, receive(t, h.closed).Code)
		})
		t.Run("with the timeout", func(t *testing.T) {
			h, drops := newReplyingHandler(endless), &dropRecorder{reasons: make(chan string, 1)}
			ask(t, h, driver, func(o *transport.Options) { o.WriteStallTimeout, o.Observer = 50*time.Millisecond, drops })
			require.False(t, receive(t, h.ended))
			require.Equal(t, "slow", receive(t, drops.reasons))
			require.Equal(t, 3008, receive(t, h.closed).Code)
		})
	})
}

// dropRecorder is an Observer that passes on why clients are dropped.
type dropRecorder struct {
	discardObserver
	reasons chan string
}

func (d *dropRecorder) ClientDropped(reason string) { d.reasons <- reason }
