package transport

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// dropRecorder is an Observer that records why clients are dropped.
type dropRecorder struct {
	Observer
	reasons []string
}

func (o *dropRecorder) ClientDropped(reason string) { o.reasons = append(o.reasons, reason) }

// setBusy pretends that a worker handles events.
func (c *conn) setBusy(busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inbound = nil
	if busy {
		c.inbound = &inboundQueue{handling: true}
	}
}

func (c *conn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing != nil
}

// While the handler blocks nothing is read, so a pong may wait behind a message.
func TestHeartbeatWaitsForABusyHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		observer := &dropRecorder{}
		s := NewServer(Options{
			MaxConnections: 1,
			MaxQueuedBytes: 1000,
			CloseTimeout:   time.Second,
			Observer:       observer,
			Logger:         slog.New(slog.DiscardHandler),
		})
		defer s.wheel.close()
		e := &Endpoint{Codes: Codes{NoPong: Close{Code: CodePolicy, Reason: "no pong"}}}
		newBeating := func() *conn {
			c := s.newConn(peerIP("127.0.0.1:1"), nil, e)
			c.StartHeartbeat(&Heartbeat{Ping: Ping(), Interval: 25 * time.Second, Timeout: 8 * time.Second})
			return c
		}
		c, silent := newBeating(), newBeating()
		c.setBusy(true)
		time.Sleep(time.Minute)
		require.True(t, silent.isClosing())
		require.False(t, c.isClosing())
		c.setBusy(false)
		require.True(t, c.Pong(), "the pong is read at last")
		time.Sleep(8*time.Second + 2*tick)
		require.False(t, c.isClosing())

		time.Sleep(time.Minute)
		require.True(t, c.isClosing(), "the next ping is not answered, and the handler is idle")
		require.Equal(t, []string{"heartbeat", "heartbeat"}, observer.reasons)
	})
}

// Clients wait for a ping for little longer than the interval that they are told. Those that share a heartbeat are
// pinged together.
func TestHeartbeatKeepsItsInterval(t *testing.T) {
	for name, c := range map[string]struct {
		Heartbeat
		clients, moments int
	}{
		"short": {Heartbeat{Interval: time.Second, Timeout: 300 * time.Millisecond}, 300, 100},
		"usual": {Heartbeat{Interval: 25 * time.Second, Timeout: 8 * time.Second}, 300, 500},
		"long":  {Heartbeat{Interval: time.Hour, Timeout: time.Millisecond}, 2, 6},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := NewServer(Options{
					MaxConnections: 1, MaxQueuedBytes: 1 << 20, Observer: &dropRecorder{}, Logger: slog.New(slog.DiscardHandler),
				})
				defer s.wheel.close()
				h := &c.Heartbeat
				h.Ping = Ping()
				all, last := make([]*conn, c.clients), make([]time.Duration, c.clients)
				for i := range all {
					all[i] = s.newConn(peerIP("127.0.0.1:1"), nil, &Endpoint{})
					all[i].StartHeartbeat(h)
				}
				moments := map[time.Duration]bool{}
				for began := time.Now(); time.Since(began) < 3*h.Interval+2*maxStep; time.Sleep(tick) {
					now := time.Since(began)
					for i, beating := range all {
						if !beating.Pong() {
							continue
						}
						require.LessOrEqual(t, now-last[i], h.Interval+maxStep+3*tick)
						if last[i] > 0 {
							require.InDelta(t, h.Interval, now-last[i], float64(3*tick))
						}
						last[i], moments[now] = now, true
					}
				}
				require.LessOrEqual(t, len(moments), c.moments, "they are not pinged one by one")
			})
		})
	}
}

func TestCloseAfterClosesInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Options{
			MaxConnections: 1,
			MaxQueuedBytes: 1000,
			CloseTimeout:   time.Second,
			Observer:       &dropRecorder{},
			Logger:         slog.New(slog.DiscardHandler),
		})
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
		require.Equal(t, Close{3502, "stale"}, late.closing.frame)
		require.True(t, beating.isClosing(), "although the heartbeat is due later")
		require.False(t, saved.isClosing())
	})
}
