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
	c.inbox = nil
	if busy {
		c.inbox = &inbox{}
	}
}

func (c *conn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending != nil
}

// A broker that hangs holds up the reader, and a pong cannot overtake the message it waits for.
func TestPeerIsNotBlamedForABusyHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		observer := &countDrops{}
		s := NewServer(Options{MaxConnections: 1, MaxQueuedBytes: 1000, CloseTimeout: time.Second, Observer: observer, Logger: slog.New(slog.DiscardHandler)})
		defer s.wheel.close()
		e := &Endpoint{Codes: Codes{NoPong: Close{Code: CodePolicy, Reason: "no pong"}}}
		beats := func() *conn {
			c := s.newConn(peerIP("127.0.0.1:1"), nil, e)
			c.StartHeartbeat(&Heartbeat{Ping: Ping(), Interval: 25 * time.Second, Timeout: 8 * time.Second})
			return c
		}
		c, silent := beats(), beats()
		c.setBusy(true)
		time.Sleep(time.Minute)
		require.True(t, silent.isClosing())
		require.False(t, c.isClosing())
		c.setBusy(false)
		require.True(t, c.Pong(), "read at last")
		time.Sleep(8*time.Second + 2*tick)
		require.False(t, c.isClosing())

		time.Sleep(time.Minute)
		require.True(t, c.isClosing(), "the next ping was not answered, and nothing held that up")
		require.Equal(t, []string{"heartbeat", "heartbeat"}, observer.reasons)
	})
}

func TestConnectionWithADeadlineIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Options{MaxConnections: 1, MaxQueuedBytes: 1000, CloseTimeout: time.Second, Observer: &countDrops{}, Logger: slog.New(slog.DiscardHandler)})
		defer s.wheel.close()
		open := func() *conn { return s.newConn(peerIP("127.0.0.1:1"), nil, &Endpoint{}) }
		late, saved, beating := open(), open(), open()
		for _, c := range []*conn{late, saved, beating} {
			c.CloseAfter(10*time.Second, Close{3502, "stale"})
		}
		beating.StartHeartbeat(&Heartbeat{Ping: Ping(), Interval: time.Hour, Timeout: time.Minute})
		saved.CloseAfter(0, Close{})
		time.Sleep(9 * time.Second)
		require.False(t, late.isClosing())
		time.Sleep(time.Second + 2*tick)
		synctest.Wait()
		require.True(t, late.isClosing())
		require.Equal(t, Close{3502, "stale"}, late.ending.farewell)
		require.True(t, beating.isClosing(), "whatever else is due later")
		require.False(t, saved.isClosing())
	})
}
