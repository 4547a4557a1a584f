package gateway_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	cf "github.com/centrifugal/protocol"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway"
	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// missed is the number of messages of missedBytes each that a client misses in each channel while it is away: 0.9 MiB,
// where a client's queue may hold 1 MiB.
const (
	missed      = 15
	missedBytes = 63_000
)

// withBigChannels sets a rule for channels whose history is about as large as a client's queue.
func withBigChannels(cfg *config.Config) {
	cfg.MaxMessageBytes = 64 << 10
	cfg.Channels = channel.Rules{{
		Pattern:  "big:*",
		History:  channel.History{Size: 100, TTL: channel.Duration(time.Minute)},
		Recovery: true,
	}}
}

// fill publishes the messages that a client misses in each channel. It returns the requests with which the client
// recovers from its position before them.
func (r *testGateway) fill(t *testing.T, channels ...string) map[string]*cf.SubscribeRequest {
	t.Helper()
	before, _ := r.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, user("ann"))})
	was := map[string]*cf.SubscribeRequest{}
	for _, name := range channels {
		at := before.subscribeTo(name)
		was[name] = &cf.SubscribeRequest{Channel: name, Recover: true, Epoch: at.Epoch, Offset: at.Offset}
	}
	before.abort()
	data := `"` + strings.Repeat("x", missedBytes) + `"`
	for _, name := range channels {
		for range missed {
			r.publishTo(t, name, data)
		}
	}
	return was
}

// pausingConn is a connection with a small buffer whose reader can pause.
type pausingConn struct {
	net.Conn
	// pause is called once for every stride bytes, unless it is nil.
	pause func()
	read  int
}

const stride = 256 << 10

func (c *pausingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), 1500)])
	if c.pause != nil {
		if c.read += n; c.read >= stride {
			c.read = 0
			c.pause()
		}
	}
	return n, err
}

// dialPausing returns a client on a pausingConn, before its connect command.
func (r *testGateway) dialPausing(t *testing.T) (*sdk, *pausingConn) {
	t.Helper()
	var slow *pausingConn
	dialer := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		slow = &pausingConn{Conn: c}
		return slow, c.(*net.TCPConn).SetReadBuffer(16 << 10)
	}}
	c := r.dial(t, path, &websocket.DialOptions{HTTPClient: &http.Client{Transport: dialer}})
	c.SetReadLimit(-1)
	return &sdk{client: c, encoding: cf.TypeJSON}, slow
}

// received holds the publications that a client got, by channel.
type received map[string][]*cf.Publication

// replied adds the publications in the reply to a subscribe command.
func (d received) replied(t *testing.T, name string, got *cf.SubscribeResult) {
	t.Helper()
	require.True(t, got.Recovered, name)
	require.Empty(t, d[name], "nothing goes ahead of the answer")
	d[name] = got.Publications
}

// pushed adds a push and reports whether it was the last one of the test.
func (d received) pushed(t *testing.T, p *cf.Push) bool {
	t.Helper()
	require.NotNil(t, p.Pub, "%v", p)
	d[p.Channel] = append(d[p.Channel], p.Pub)
	return string(p.Pub.Data) == `"the end"`
}

// check asserts the number of publications of each channel, and that they are in order.
func (d received) check(t *testing.T, want map[string]int) {
	t.Helper()
	for name, n := range want {
		require.Len(t, d[name], n, name)
		for i, p := range d[name] {
			require.Equal(t, uint64(i+1), p.Offset, "%s: once, and in order", name)
		}
	}
}

// A client that comes back to several channels may have missed more than its queue holds. The gateway sends it at the
// client's pace, and sends what is published meanwhile after it.
func TestRecoveryOfMoreThanAQueueHolds(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		testRecoveryOfMoreThanAQueueHolds(t, start(t, withTokens, withKey, withBigChannels), "big:0")
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		server := redistest.Standalone(t, "")
		g := start(t, onRedis(server, ""), withTokens, withKey, withBigChannels)
		g.awaitMetric(t, 1, "websocket_broker_state", "state", "ready")
		// The channels are recovered in any order, so that what is published meanwhile would be too much for one of them.
		testRecoveryOfMoreThanAQueueHolds(t, g, "big:live")
	})
}

// testRecoveryOfMoreThanAQueueHolds publishes to the channel live while the client recovers.
func testRecoveryOfMoreThanAQueueHolds(t *testing.T, g *testGateway, live string) {
	t.Helper()
	channels := []string{"big:0", "big:1", "big:2", "big:3", "big:4"}
	was, want := g.fill(t, channels...), map[string]int{}
	var frame []*cf.Command
	for i, name := range channels {
		frame = append(frame, &cf.Command{Id: uint32(i + 2), Subscribe: was[name]})
		want[name] = missed
	}
	c, slow := g.dialPausing(t)
	require.NotNil(t, c.call(&cf.Command{Connect: &cf.ConnectRequest{Token: signed(t, user("ann"))}}).Connect)
	if want[live] == 0 {
		c.subscribeTo(live)
	}
	before := want[live]
	slow.pause = func() {
		want[live]++
		g.publishTo(t, live, `"`+strings.Repeat("live", 12_000)+`"`)
	}
	c.write(frame...)
	got := received{}
	for range channels {
		r := c.next()
		for ; r.Push != nil; r = c.next() {
			got.pushed(t, r.Push)
		}
		require.Nil(t, r.Error, "%v", r.Error)
		got.replied(t, channels[r.Id-2], r.Subscribe)
	}
	slow.pause = nil
	want[live]++
	g.publishTo(t, live, `"the end"`)
	for !got.pushed(t, c.next().Push) {
	}
	require.Greater(t, want[live], before+10, "publications went on")
	got.check(t, want)
	require.Zero(t, g.metric(t, "websocket_dropped_clients_total"))
}

// The missed messages of server-side subscriptions are all in the reply to the connect command.
func TestRecoveryOfServerSideSubscriptionsWithMuchHistory(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, withKey, withBigChannels)
	channels := []string{"big:0", "big:1", "big:2", "big:3", "big:4", "big:5"}
	was, want := g.fill(t, channels...), map[string]int{}
	for _, name := range channels {
		want[name] = missed
	}
	claims := user("ann")
	claims["channels"] = channels
	c, slow := g.dialPausing(t)
	slow.pause = func() {
		want["big:0"]++
		g.publishTo(t, "big:0", `"`+strings.Repeat("live", 12_000)+`"`)
	}
	connected := c.call(&cf.Command{Connect: &cf.ConnectRequest{Token: signed(t, claims), Subs: was}})
	require.Nil(t, connected.Error)
	got := received{}
	for _, name := range channels {
		got.replied(t, name, connected.Connect.Subs[name])
	}
	slow.pause = nil
	want["big:0"]++
	g.publishTo(t, "big:0", `"the end"`)
	for !got.pushed(t, c.next().Push) {
	}
	require.Greater(t, want["big:0"], missed+5, "publications went on")
	got.check(t, want)
	require.Zero(t, g.metric(t, "websocket_dropped_clients_total"))
}

// requestMuch sends commands in one frame whose replies are larger than the sockets' buffers.
func (s *sdk) requestMuch(was *cf.SubscribeRequest) {
	s.t.Helper()
	frame := []*cf.Command{{Id: 2, Subscribe: was}}
	for id := range uint32(100) {
		frame = append(frame, &cf.Command{Id: id + 3, History: &cf.HistoryRequest{Channel: was.Channel, Limit: -1}})
	}
	s.write(frame...)
}

// A client that requests much and does not read is disconnected as slow. It gets the close frame when it reads.
func TestSlowClientIsDisconnectedWhileItRecovers(t *testing.T) {
	t.Parallel()
	g := startWith(t, gateway.Options{CloseTimeout: waitTimeout, WriteStallTimeout: 200 * time.Millisecond}, withTokens,
		withKey, withBigChannels)
	was := g.fill(t, "big:0")
	c, _ := g.dialPausing(t)
	require.NotNil(t, c.call(&cf.Command{Connect: &cf.ConnectRequest{Token: signed(t, user("ann"))}}).Connect)
	c.requestMuch(was["big:0"])
	g.awaitMetric(t, 1, "websocket_dropped_clients_total", "reason", "slow")
	c.closed(3008, "slow")
	g.awaitMetric(t, 1, "websocket_closed_total", "code", "3008")
	g.awaitMetric(t, 0, "websocket_connections")
	g.awaitMetric(t, 0, "websocket_channels")
	require.Zero(t, g.metric(t, "websocket_queued_bytes"), "all given back")
}

// However much clients request, the queue of each holds at most half of its maximum and one reply.
func TestQueuesOfUnreadRepliesAreBounded(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, withKey, withBigChannels)
	was := g.fill(t, "big:0")
	const clients, half = 3, 512 << 10
	for i := range clients {
		c, _ := g.dialPausing(t)
		require.NotNil(t, c.call(&cf.Command{Connect: &cf.ConnectRequest{Token: signed(t, user(fmt.Sprint(i)))}}).Connect)
		c.requestMuch(was["big:0"])
		defer c.abort()
	}
	for deadline := time.Now().Add(waitTimeout); g.metric(t, "websocket_queued_bytes") < clients*half; time.Sleep(tick) {
		require.True(t, time.Now().Before(deadline), "the replies do not fill the queues")
	}
	// Wait a moment in which the queues could grow further.
	other := g.connectAs(t, "bob")
	for range 50 {
		other.quiet()
		require.Less(t, g.metric(t, "websocket_queued_bytes"), float64(clients*(half+(missed+1)*missedBytes)))
	}
	require.Zero(t, g.metric(t, "websocket_dropped_clients_total"))
}
