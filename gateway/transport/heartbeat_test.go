package transport

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

type countDrops struct {
	Observer
	reasons []string
}

func (o *countDrops) ClientDropped(reason string) { o.reasons = append(o.reasons, reason) }

// setBusy is a handler at work.
func (c *conn) setBusy(busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inbox.working = busy
}

// A broker that hangs holds up the reader, and a pong cannot overtake the message it waits for.
func TestPeerIsNotBlamedForABusyHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		observer := &countDrops{}
		s := NewServer(Options{MaxConnections: 1, MaxQueuedBytes: 1000, CloseTimeout: time.Second, Observer: observer, Logger: slog.New(slog.DiscardHandler)})
		e := &Endpoint{Codes: Codes{NoPong: Close{Code: CodePolicy, Reason: "no pong"}}}
		beats := func() *conn {
			c := s.newConn(peerIP("127.0.0.1:1"), nil, e)
			c.StartHeartbeat(Heartbeat{Ping: Ping(), Interval: 25 * time.Second, Timeout: 8 * time.Second})
			return c
		}
		c, silent := beats(), beats()
		c.setBusy(true)
		time.Sleep(time.Minute)
		require.True(t, silent.isClosing())
		require.False(t, c.isClosing())
		c.setBusy(false)
		require.True(t, c.Pong(), "read at last")
		time.Sleep(8 * time.Second)
		require.False(t, c.isClosing())

		time.Sleep(time.Minute)
		require.True(t, c.isClosing(), "the next ping was not answered, and nothing held that up")
		require.Equal(t, []string{"heartbeat", "heartbeat"}, observer.reasons)
	})
}
