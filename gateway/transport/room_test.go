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

// asking is a handler that answers every message with large ones, and waits for room before each.
type asking struct {
	conn transport.Conn
	// enough is how many answers a message gets.
	enough int
	answer transport.Frame
	// waits is closed before the first wait that the client has to end.
	waits chan struct{}
	once  sync.Once
	// most is how many bytes waited at most, ended why the last message got no more.
	most  int
	ended chan bool
	// within changes the context that it waits in.
	within func(context.Context) context.Context
	closed chan transport.Close
}

const room = 64 << 10

func newAsking(enough int) *asking {
	return &asking{
		enough: enough, answer: transport.NewFrame(transport.Binary, make([]byte, room-100)), waits: make(chan struct{}), ended: make(chan bool, 1),
		within: func(ctx context.Context) context.Context { return ctx }, closed: make(chan transport.Close, 1),
	}
}

func (h *asking) OnOpen(c transport.Conn) { h.conn = c }

func (h *asking) OnMessage(ctx context.Context, _ transport.Kind, _ []byte) {
	ctx = h.within(ctx)
	for range h.enough {
		if h.conn.QueuedBytes() > room/2 {
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
		h.most = max(h.most, h.conn.QueuedBytes())
		h.conn.Flush()
	}
	h.ended <- true
}

func (h *asking) OnClose(c transport.Close) { h.closed <- c }

// endless is more than sockets hold.
const endless = 1 << 10

// ask connects a client with a small socket to a handler, and asks.
func ask(t *testing.T, h *asking, change ...func(*transport.Options)) *websocket.Conn {
	t.Helper()
	change = append(change, func(o *transport.Options) { o.MaxQueuedBytes = room })
	_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, change...)
	dialer := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(room)
		}
		return c, err
	}}
	c, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: dialer}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.CloseNow() })
	c.SetReadLimit(2 * room)
	require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte("all")))
	return c
}

// gets waits for what a test is about to see.
func gets[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		require.FailNow(t, "it did not come")
	}
	return v
}

func TestWhereThereIsRoomNobodyWaits(t *testing.T) {
	onEveryWire(t, func(t *testing.T, wire func(*transport.Options)) {
		h := newAsking(1)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		h.within = func(context.Context) context.Context { return over }
		ask(t, h, wire)
		require.True(t, gets(t, h.ended), "a wait would have ended with its context")
	})
}

// A handler with endless answers holds what the client has not read, and no more.
func TestHandlersWaitForTheirClients(t *testing.T) {
	const answers = 300
	onEveryWire(t, func(t *testing.T, wire func(*transport.Options)) {
		h := newAsking(answers)
		c := ask(t, h, wire)
		gets(t, h.waits)
		for range answers {
			_, data, err := c.Read(t.Context())
			require.NoError(t, err)
			require.Len(t, data, room-100)
		}
		require.True(t, gets(t, h.ended))
		require.LessOrEqual(t, h.most, room/2+h.answer.Len())
	})
}

func TestWaitsForRoomEnd(t *testing.T) {
	onEveryWire(t, func(t *testing.T, wire func(*transport.Options)) {
		t.Run("with their context", func(t *testing.T) {
			h := newAsking(endless)
			within, cancel := context.WithCancel(t.Context())
			h.within = func(context.Context) context.Context { return within }
			ask(t, h, wire)
			gets(t, h.waits)
			cancel()
			require.False(t, gets(t, h.ended))
			require.Empty(t, h.closed, "the connection is its handler's matter")
		})
		t.Run("with the peer", func(t *testing.T) {
			h := newAsking(endless)
			c := ask(t, h, wire)
			gets(t, h.waits)
			require.NoError(t, c.CloseNow())
			require.False(t, gets(t, h.ended))
			require.Equal(t, transport.CodeAbnormal, gets(t, h.closed).Code)
		})
		t.Run("with a close that the peer does not read", func(t *testing.T) {
			h := newAsking(endless)
			ask(t, h, wire)
			gets(t, h.waits)
			h.conn.Close(transport.Close{Code: 4000})
			require.False(t, gets(t, h.ended))
			require.Equal(t, 4000, gets(t, h.closed).Code)
		})
		t.Run("with patience", func(t *testing.T) {
			h, drops := newAsking(endless), &drops{reasons: make(chan string, 1)}
			ask(t, h, wire, func(o *transport.Options) { o.WriteStallTimeout, o.Observer = 50*time.Millisecond, drops })
			require.False(t, gets(t, h.ended))
			require.Equal(t, "slow", gets(t, drops.reasons))
			require.Equal(t, 3008, gets(t, h.closed).Code)
		})
	})
}

// drops are why clients were given up.
type drops struct {
	observer
	reasons chan string
}

func (d *drops) ClientDropped(reason string) { d.reasons <- reason }
