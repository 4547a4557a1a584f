package gateway_test

import (
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway"
	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// occupancyTTL leaves a busy machine time to renew.
const occupancyTTL = 3 * time.Second

// wire is the way of one gateway to Redis, which can be cut: to all others that is as if the gateway had
// been killed.
type wire struct {
	listener net.Listener
	to       string
	work     sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func newWire(t *testing.T, s *redistest.Server) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{listener: l, to: s.Addr()}
	w.work.Go(w.accept)
	t.Cleanup(func() {
		_ = l.Close()
		w.set(true)
		w.work.Wait()
	})
	return w
}

func (w *wire) accept() {
	for {
		in, err := w.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", w.to)
		if err != nil || !w.join(in, out) {
			_ = in.Close()
		}
	}
}

// join carries bytes both ways, unless the wire is cut.
func (w *wire) join(in, out net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		_ = out.Close()
		return false
	}
	w.conns = append(w.conns, in, out)
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		w.work.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_, _ = way[0].Close(), way[1].Close()
		})
	}
	return true
}

// set cuts the wire or mends it.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

// news are the next events of the backend, without an order.
func (b *backend) news(t *testing.T, count int) (news []string) {
	t.Helper()
	for range count {
		select {
		case e := <-b.events:
			news = append(news, strings.TrimPrefix(e["type"].(string), "dev.wsfleet.channel.")+" "+e["subject"].(string))
		case <-time.After(2 * patience):
			require.Fail(t, "no more events", "only %v", news)
		}
	}
	slices.Sort(news)
	return news
}

// begin starts a gateway that tells of channels, on a Redis at an address.
func (b *backend) begin(t *testing.T, s *redistest.Server, address string) *running {
	t.Helper()
	g := startWith(t, gateway.Options{CloseTimeout: time.Second, OccupancyTTL: occupancyTTL}, onRedis(s, ""), b.with("events"), func(cfg *config.Config) {
		cfg.RedisAddresses, cfg.WebhookEvents = []string{address}, []string{contract.WebhookOccupied, contract.WebhookVacated}
	})
	g.awaitMetric(t, 1, "websocket_broker_state", "state", "ready")
	return g
}

// Channels that only a gateway had that is gone without a word are vacated, once, by one of those that
// are left. When it was not gone but only cut off, it occupies them again.
func TestChannelsOfAGatewayThatIsGone(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	s := redistest.Standalone(t, "")
	w := newWire(t, s)
	one, _, gone := b.begin(t, s, s.Addr()), b.begin(t, s, s.Addr()), b.begin(t, s, w.listener.Addr().String())

	lost := gone.dial(t, "/ws?channel=alone&channel=both&publish=both")
	require.Equal(t, []string{"occupied alone", "occupied both"}, b.news(t, 2))
	stays := one.dial(t, "/ws?channel=both&channel=fence&publish=both")
	require.Equal(t, []string{"occupied fence"}, b.news(t, 1), "both are known to be occupied")

	w.set(true)
	require.Equal(t, []string{"vacated alone"}, b.news(t, 1))
	// The hub lets channels go after a while, in which the others ask for what is gone many times.
	require.NoError(t, stays.CloseNow())
	require.Equal(t, []string{"vacated both", "vacated fence"}, b.news(t, 2))

	w.set(false)
	require.Equal(t, []string{"occupied alone", "occupied both"}, b.news(t, 2))
	require.NoError(t, lost.CloseNow())
	require.Equal(t, []string{"vacated alone", "vacated both"}, b.news(t, 2))
	require.Empty(t, b.events)
	require.Zero(t, b.forged)
}

// While Redis is away nobody can renew. When it is back, all that were there are heard before anything
// is vacated.
func TestAnOutageVacatesNothing(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	s := redistest.Standalone(t, "")
	wires := []*wire{newWire(t, s), newWire(t, s)}
	one, two := b.begin(t, s, wires[0].listener.Addr().String()), b.begin(t, s, wires[1].listener.Addr().String())
	clients := []*client{one.dial(t, "/ws?channel=one"), two.dial(t, "/ws?channel=two")}
	require.Equal(t, []string{"occupied one", "occupied two"}, b.news(t, 2))
	redis := s.Client()
	t.Cleanup(func() { _ = redis.Close() })
	for range 3 {
		for _, w := range wires {
			w.set(true)
		}
		require.Eventually(t, func() bool {
			return redis.Exists(t.Context(), "wsfleet:o:one", "wsfleet:o:two", "wsfleet:w").Val() == 0
		}, patience, tick)
		for _, w := range wires {
			w.set(false)
		}
		require.Equal(t, []string{"occupied one", "occupied two"}, b.news(t, 2))
	}
	for _, c := range clients {
		require.NoError(t, c.CloseNow())
	}
	require.Equal(t, []string{"vacated one", "vacated two"}, b.news(t, 2))
	require.Empty(t, b.events)
}

// When no gateway is left, the next to start tells what the last had.
func TestChannelsOfTheLastGatewayThatIsGone(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	s := redistest.Standalone(t, "")
	w := newWire(t, s)
	b.begin(t, s, w.listener.Addr().String()).dial(t, "/ws?channel=alone")
	require.Equal(t, []string{"occupied alone"}, b.news(t, 1))
	w.set(true)
	redis := s.Client()
	t.Cleanup(func() { _ = redis.Close() })
	require.Eventually(t, func() bool { return redis.Exists(t.Context(), "wsfleet:o:alone").Val() == 0 }, patience, tick)
	b.begin(t, s, s.Addr())
	require.Equal(t, []string{"vacated alone"}, b.news(t, 1))
}
