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
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// missed is how many messages of missedBytes a channel has for a client that was away: 0.9 MiB, where one
// that is slow may have 1 MiB waiting.
const (
	missed      = 15
	missedBytes = 63_000
)

// withBigChannels sets a rule for channels that may hold what a client can just recover.
func withBigChannels(cfg *config.Config) {
	cfg.MaxMessageBytes = 64 << 10
	cfg.Channels = channel.Rules{{Pattern: "big:*", History: channel.History{Size: 100, TTL: channel.Duration(time.Minute)}, Recovery: true}}
}

// fill publishes what a client misses that is away from here on, and returns where it was in each channel.
func (r *running) fill(t *testing.T, channels ...string) map[string]*cf.SubscribeRequest {
	t.Helper()
	before, _ := r.join(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, user("ann"))})
	was := map[string]*cf.SubscribeRequest{}
	for _, name := range channels {
		at := before.to(name)
		was[name] = &cf.SubscribeRequest{Channel: name, Recover: true, Epoch: at.Epoch, Offset: at.Offset}
	}
	before.hangUp()
	data := `"` + strings.Repeat("x", missedBytes) + `"`
	for _, name := range channels {
		for range missed {
			r.publishTo(t, name, data)
		}
	}
	return was
}

// strolling is a connection with a small buffer whose reader pauses.
type strolling struct {
	net.Conn
	// pause is called once for every stride bytes, when it is there.
	pause func()
	read  int
}

const stride = 256 << 10

func (c *strolling) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), 1500)])
	if c.pause != nil {
		if c.read += n; c.read >= stride {
			c.read = 0
			c.pause()
		}
	}
	return n, err
}

// stroll is a client that has not connected yet, on such a connection.
func (r *running) stroll(t *testing.T) (*sdk, *strolling) {
	t.Helper()
	var slow *strolling
	dialer := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		slow = &strolling{Conn: c}
		return slow, c.(*net.TCPConn).SetReadBuffer(16 << 10)
	}}
	c := r.dial(t, path, &websocket.DialOptions{HTTPClient: &http.Client{Transport: dialer}})
	c.SetReadLimit(-1)
	return &sdk{client: c, encoding: cf.TypeJSON}, slow
}

// diary is what a client got of each channel.
type diary map[string][]*cf.Publication

// replied adds the answer to one resubscription.
func (d diary) replied(t *testing.T, name string, got *cf.SubscribeResult) {
	t.Helper()
	require.True(t, got.Recovered, name)
	require.Empty(t, d[name], "nothing goes ahead of the answer")
	d[name] = got.Publications
}

// pushed adds a push, and reports whether it was the last of all.
func (d diary) pushed(t *testing.T, p *cf.Push) bool {
	t.Helper()
	require.NotNil(t, p.Pub, "%v", p)
	d[p.Channel] = append(d[p.Channel], p.Pub)
	return string(p.Pub.Data) == `"the end"`
}

// check compares with how many there were of each.
func (d diary) check(t *testing.T, want map[string]int) {
	t.Helper()
	for name, n := range want {
		require.Len(t, d[name], n, name)
		for i, p := range d[name] {
			require.Equal(t, uint64(i+1), p.Offset, "%s: once, and in order", name)
		}
	}
}

// Who comes back to several channels may have missed more than may wait for a client. It has the time that
// it needs to read that, and what is published meanwhile comes behind.
func TestComingBackToMuch(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, withKey, withBigChannels)
	channels := []string{"big:0", "big:1", "big:2", "big:3", "big:4"}
	was, want := g.fill(t, channels...), map[string]int{}
	var frame []*cf.Command
	for i, name := range channels {
		frame = append(frame, &cf.Command{Id: uint32(i + 2), Subscribe: was[name]})
		want[name] = missed
	}
	c, slow := g.stroll(t)
	require.NotNil(t, c.call(&cf.Command{Connect: &cf.ConnectRequest{Token: signed(t, user("ann"))}}).Connect)
	slow.pause = func() {
		want["big:0"]++
		g.publishTo(t, "big:0", `"`+strings.Repeat("live", 12_000)+`"`)
	}
	c.write(frame...)
	got := diary{}
	for range channels {
		r := c.next()
		for ; r.Push != nil; r = c.next() {
			got.pushed(t, r.Push)
		}
		require.Nil(t, r.Error, "%v", r.Error)
		got.replied(t, channels[r.Id-2], r.Subscribe)
	}
	slow.pause = nil
	want["big:0"]++
	g.publishTo(t, "big:0", `"the end"`)
	for !got.pushed(t, c.next().Push) {
	}
	require.Greater(t, want["big:0"], missed+10, "publications went on")
	got.check(t, want)
	require.Zero(t, g.metric(t, "websocket_dropped_clients_total"))
}

// What the server has subscribed a client to comes with the one answer to its connect.
func TestComingBackToMuchOfTheServers(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, withKey, withBigChannels)
	channels := []string{"big:0", "big:1", "big:2", "big:3", "big:4", "big:5"}
	was, want := g.fill(t, channels...), map[string]int{}
	for _, name := range channels {
		want[name] = missed
	}
	claims := user("ann")
	claims["channels"] = channels
	c, slow := g.stroll(t)
	slow.pause = func() {
		want["big:0"]++
		g.publishTo(t, "big:0", `"`+strings.Repeat("live", 12_000)+`"`)
	}
	connected := c.call(&cf.Command{Connect: &cf.ConnectRequest{Token: signed(t, claims), Subs: was}})
	require.Nil(t, connected.Error)
	got := diary{}
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

// askMuch has a client ask for more than sockets hold, in one frame.
func (s *sdk) askMuch(was *cf.SubscribeRequest) {
	s.t.Helper()
	frame := []*cf.Command{{Id: 2, Subscribe: was}}
	for id := range uint32(100) {
		frame = append(frame, &cf.Command{Id: id + 3, History: &cf.HistoryRequest{Channel: was.Channel, Limit: -1}})
	}
	s.write(frame...)
}

// Who asks for much and does not read is slow in the end, and is told so when it does read.
func TestAskingForMuchAndReadingNothing(t *testing.T) {
	t.Parallel()
	g := startWith(t, gateway.Options{CloseTimeout: patience, WriteStallTimeout: 200 * time.Millisecond}, withTokens, withKey, withBigChannels)
	was := g.fill(t, "big:0")
	c, _ := g.stroll(t)
	require.NotNil(t, c.call(&cf.Command{Connect: &cf.ConnectRequest{Token: signed(t, user("ann"))}}).Connect)
	c.askMuch(was["big:0"])
	g.awaitMetric(t, 1, "websocket_dropped_clients_total", "reason", "slow")
	c.closed(3008, "slow")
	g.awaitMetric(t, 1, "websocket_closed_total", "code", "3008")
	g.awaitMetric(t, 0, "websocket_connections")
	g.awaitMetric(t, 0, "websocket_channels")
	require.Zero(t, g.metric(t, "websocket_queued_bytes"), "all given back")
}

// However much clients ask for, what waits for each is half of what may, and one answer.
func TestAnswersThatNobodyReadsAreBounded(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, withKey, withBigChannels)
	was := g.fill(t, "big:0")
	const clients, half = 3, 512 << 10
	for i := range clients {
		c, _ := g.stroll(t)
		require.NotNil(t, c.call(&cf.Command{Connect: &cf.ConnectRequest{Token: signed(t, user(fmt.Sprint(i)))}}).Connect)
		c.askMuch(was["big:0"])
		defer c.hangUp()
	}
	for deadline := time.Now().Add(patience); g.metric(t, "websocket_queued_bytes") < clients*half; time.Sleep(tick) {
		require.True(t, time.Now().Before(deadline), "nobody asks for enough")
	}
	// What the others do, and what is published, takes time in which more could come.
	other := g.as(t, "bob")
	for range 50 {
		other.quiet()
		require.Less(t, g.metric(t, "websocket_queued_bytes"), float64(clients*(half+(missed+1)*missedBytes)))
	}
	require.Zero(t, g.metric(t, "websocket_dropped_clients_total"))
}
