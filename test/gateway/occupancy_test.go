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

// occupancyTTL is long enough for a busy machine to renew its leases.
const occupancyTTL = 3 * time.Second

// redisProxy is a TCP proxy between one gateway and Redis. When it is cut, the gateway looks killed to all others.
type redisProxy struct {
	listener net.Listener
	to       string
	work     sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func newRedisProxy(t *testing.T, s *redistest.Server) *redisProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &redisProxy{listener: l, to: s.Addr()}
	w.work.Go(w.accept)
	t.Cleanup(func() {
		_ = l.Close()
		w.set(true)
		w.work.Wait()
	})
	return w
}

func (w *redisProxy) accept() {
	for {
		in, err := w.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", w.to)
		if err != nil || !w.relay(in, out) {
			_ = in.Close()
		}
	}
}

// relay copies bytes in both directions until one side ends. It reports false when the proxy is cut.
func (w *redisProxy) relay(in, out net.Conn) bool {
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

// set cuts the proxy, or lets new connections pass again.
func (w *redisProxy) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

// channelEvents returns the next count events of channels that the backend got, sorted.
func (b *backend) channelEvents(t *testing.T, count int) (news []string) {
	t.Helper()
	for range count {
		select {
		case e := <-b.events:
			news = append(news, strings.TrimPrefix(e["type"].(string), "dev.wsfleet.channel.")+" "+e["subject"].(string))
		case <-time.After(2 * waitTimeout):
			require.Fail(t, "no more events", "only %v", news)
		}
	}
	slices.Sort(news)
	return news
}

// startOnRedis starts a gateway that sends the events of channels, with Redis at address.
func (b *backend) startOnRedis(t *testing.T, s *redistest.Server, address string) *testGateway {
	t.Helper()
	g := startWith(t, gateway.Options{CloseTimeout: time.Second, OccupancyTTL: occupancyTTL}, onRedis(s, ""),
		b.with("events"), func(cfg *config.Config) {
			cfg.RedisAddresses, cfg.WebhookEvents = []string{address}, []string{contract.WebhookOccupied,
				contract.WebhookVacated}
		})
	g.awaitMetric(t, 1, "websocket_broker_state", "state", "ready")
	return g
}

// When a gateway is killed, one of the others reports the channels that only it had as vacated, once. When the gateway
// was only cut off from Redis, it reports them as occupied again.
func TestOccupancyAfterAGatewayWasKilled(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	s := redistest.Standalone(t, "")
	w := newRedisProxy(t, s)
	one, _, gone := b.startOnRedis(t, s,
		s.Addr()), b.startOnRedis(t, s, s.Addr()), b.startOnRedis(t, s, w.listener.Addr().String())

	lost := gone.dial(t, "/ws?channel=alone&channel=both&publish=both")
	require.Equal(t, []string{"occupied alone", "occupied both"}, b.channelEvents(t, 2))
	stays := one.dial(t, "/ws?channel=both&channel=fence&publish=both")
	require.Equal(t, []string{"occupied fence"}, b.channelEvents(t, 1), "both are known to be occupied")

	w.set(true)
	require.Equal(t, []string{"vacated alone"}, b.channelEvents(t, 1))
	// The hub keeps a channel for a while, in which the other gateways check for expired leases many times.
	require.NoError(t, stays.CloseNow())
	require.Equal(t, []string{"vacated both", "vacated fence"}, b.channelEvents(t, 2))

	w.set(false)
	require.Equal(t, []string{"occupied alone", "occupied both"}, b.channelEvents(t, 2))
	require.NoError(t, lost.CloseNow())
	require.Equal(t, []string{"vacated alone", "vacated both"}, b.channelEvents(t, 2))
	require.Empty(t, b.events)
	require.Zero(t, b.forged)
}

// While Redis is away no gateway can renew its leases. When it is back, every gateway renews before a channel is
// reported as vacated.
func TestOccupancySurvivesARedisOutage(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	s := redistest.Standalone(t, "")
	proxies := []*redisProxy{newRedisProxy(t, s), newRedisProxy(t, s)}
	one, two := b.startOnRedis(t, s,
		proxies[0].listener.Addr().String()), b.startOnRedis(t, s, proxies[1].listener.Addr().String())
	clients := []*client{one.dial(t, "/ws?channel=one"), two.dial(t, "/ws?channel=two")}
	require.Equal(t, []string{"occupied one", "occupied two"}, b.channelEvents(t, 2))
	redis := s.Client()
	t.Cleanup(func() { _ = redis.Close() })
	for range 3 {
		for _, w := range proxies {
			w.set(true)
		}
		require.Eventually(t, func() bool {
			return redis.Exists(t.Context(), "wsfleet:o:one", "wsfleet:o:two", "wsfleet:w").Val() == 0
		}, waitTimeout, tick)
		for _, w := range proxies {
			w.set(false)
		}
		require.Equal(t, []string{"occupied one", "occupied two"}, b.channelEvents(t, 2))
	}
	for _, c := range clients {
		require.NoError(t, c.CloseNow())
	}
	require.Equal(t, []string{"vacated one", "vacated two"}, b.channelEvents(t, 2))
	require.Empty(t, b.events)
}

// When no gateway is left, the next one that starts reports the channels of the last as vacated.
func TestOccupancyAfterTheLastGatewayWasKilled(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	s := redistest.Standalone(t, "")
	w := newRedisProxy(t, s)
	b.startOnRedis(t, s, w.listener.Addr().String()).dial(t, "/ws?channel=alone")
	require.Equal(t, []string{"occupied alone"}, b.channelEvents(t, 1))
	w.set(true)
	redis := s.Client()
	t.Cleanup(func() { _ = redis.Close() })
	require.Eventually(t, func() bool { return redis.Exists(t.Context(), "wsfleet:o:alone").Val() == 0 }, waitTimeout,
		tick)
	b.startOnRedis(t, s, s.Addr())
	require.Equal(t, []string{"vacated alone"}, b.channelEvents(t, 1))
}
