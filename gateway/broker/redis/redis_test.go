package redis_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/brokertest"
	"github.com/wsfleet/wsfleet/gateway/broker/redis"
	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/internal/contract"
)

const timeout = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a broker as a gateway holds it, with what it delivers and hears.
type node struct {
	*brokertest.Node
}

type message struct {
	channel string
	data    string
	binary  bool
}

var plain = broker.PublishOptions{}

func start(t *testing.T, o redis.Options) *node {
	t.Helper()
	n := &node{Node: brokertest.NewNode(rand.Text())}
	// A link is lost after a few of these without a probe, and the machine may be busy.
	o.ProbeInterval = time.Second
	o.Prefix = "test:"
	o.Logger = slog.New(slog.DiscardHandler)
	o.Instance = n.Instance
	b := redis.New(o)
	n.Broker = b
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, n, n) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return n
}

// pair starts two nodes and waits until both are ready.
func pair(t *testing.T, o redis.Options) (a, b *node) {
	t.Helper()
	a, b = start(t, o), start(t, o)
	a.await(t, contract.BrokerReady)
	b.await(t, contract.BrokerReady)
	return a, b
}

func (n *node) await(t *testing.T, state contract.BrokerState) {
	t.Helper()
	ready := assert.Eventually(t, func() bool { return n.Status().State == state }, timeout, 10*time.Millisecond)
	require.True(t, ready, "want %s, still %v", state, n.Status())
}

func (n *node) join(t *testing.T, channel string) {
	t.Helper()
	n.Listen(t, channel)
}

func (n *node) next(t *testing.T) message {
	t.Helper()
	d := n.Next(t)
	return message{d.Channel, string(d.Data), d.Binary}
}

func (n *node) publish(ctx context.Context, channel string, p broker.Publication) error {
	_, err := n.Publish(ctx, channel, p, plain)
	return err
}

// modes start a Redis of each kind, and say how to reach it.
var modes = map[string]func(*testing.T) redis.Options{
	"standalone": func(t *testing.T) redis.Options {
		s := redistest.Standalone(t, "secret")
		return redis.Options{Mode: contract.RedisStandalone, Addresses: []string{s.Addr()}, Password: "secret"}
	},
	"sentinel": func(t *testing.T) redis.Options {
		s := redistest.WithSentinel(t)
		return redis.Options{Mode: contract.RedisSentinel, Addresses: s.Addresses, MasterName: s.MasterName}
	},
	"cluster": func(t *testing.T) redis.Options {
		return redis.Options{Mode: contract.RedisCluster, Addresses: redistest.WithCluster(t).Addresses()}
	},
}

func TestRedisConformsInEveryMode(t *testing.T) {
	t.Parallel()
	for name, options := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := pair(t, options(t))
			brokertest.Run(t, a.Node, b.Node)
		})
	}
}

func TestPublishReachesEveryNodeInEveryMode(t *testing.T) {
	t.Parallel()
	for name, options := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			a, b := pair(t, o)
			for _, channel := range []string{"one", "two", "three", "{tagged}", "user:5#x"} {
				b.join(t, channel)
				require.NoError(t, a.publish(t.Context(), channel, broker.Publication{Data: []byte(channel), Binary: true}))
				require.Equal(t, message{channel, channel, true}, b.next(t))
			}
			require.Empty(t, a.Got, "a node without a subscription must not receive")
		})
	}
}

func TestRedisReconnectsAfterAnOutage(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t, "")
	o := redis.Options{Mode: contract.RedisStandalone, Addresses: []string{s.Addr()}}
	a, b := pair(t, o)
	channels := []string{"one", "two", "three"}
	for _, channel := range channels {
		b.join(t, channel)
	}

	s.Stop()
	a.await(t, contract.BrokerDegraded)
	b.await(t, contract.BrokerDegraded)
	require.Error(t, b.Status().Err)
	begin := time.Now()
	require.ErrorIs(t, a.publish(t.Context(), "one", broker.Publication{}), broker.ErrUnavailable)
	require.Less(t, time.Since(begin), 7*time.Second)
	later := make(chan struct{})
	b.Subscribe("later", func() { close(later) })

	s.Start()
	a.await(t, contract.BrokerReady)
	b.await(t, contract.BrokerReady)
	<-later
	client := s.Client()
	defer func() { require.NoError(t, client.Close()) }()
	for _, channel := range append(channels, "later") {
		redistest.Await(t, "the channel to be subscribed again", func(ctx context.Context) error {
			subscribers, err := client.PubSubNumSub(ctx, "test:c:"+channel).Result()
			if err == nil && subscribers["test:c:"+channel] != 1 {
				return broker.ErrUnavailable
			}
			return err
		})
		require.NoError(t, a.publish(t.Context(), channel, broker.Publication{Data: []byte("again")}))
		require.Equal(t, message{channel, "again", false}, b.next(t))
	}
}

func TestRedisUnreachableIsReported(t *testing.T) {
	t.Parallel()
	secured := redistest.Standalone(t, "secret")
	cases := map[string]struct {
		options redis.Options
		says    string
	}{
		"wrong password": {
			redis.Options{Mode: contract.RedisStandalone, Addresses: []string{secured.Addr()}, Password: "guess"}, "WRONGPASS"},
		"no password":  {redis.Options{Mode: contract.RedisStandalone, Addresses: []string{secured.Addr()}}, "NOAUTH"},
		"nobody there": {redis.Options{Mode: contract.RedisStandalone, Addresses: []string{"127.0.0.1:1"}}, "127.0.0.1:1"},
		"no sentinel": {redis.Options{Mode: contract.RedisSentinel, Addresses: []string{"127.0.0.1:1"}, MasterName: "main"},
			"sentinel"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := start(t, c.options)
			require.Eventually(t, func() bool {
				err := n.Status().Err
				return err != nil && strings.Contains(err.Error(), c.says)
			}, timeout, 10*time.Millisecond, "%v", n.Status())
			require.Equal(t, contract.BrokerConnecting, n.Status().State)
			require.NotContains(t, n.Status().Err.Error(), "guess")
			require.ErrorIs(t, n.publish(t.Context(), "x", broker.Publication{}), broker.ErrUnavailable)
		})
	}
}

func TestSubscribeConfirmsWhatIsDelivered(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t, "")
	o := redis.Options{Mode: contract.RedisStandalone, Addresses: []string{s.Addr()}}
	a, b := pair(t, o)
	// The same channel comes and goes, so that confirmations of different subscriptions are under way at once.
	for i := range 200 {
		b.Unsubscribe("lobby")
		b.join(t, "lobby")
		want := message{"lobby", string(rune('a' + i%26)), false}
		require.NoError(t, a.publish(t.Context(), "lobby", broker.Publication{Data: []byte(want.data)}))
		require.Equal(t, want, b.next(t))
	}
}

func TestPublishKeepsTheOrderOfAChannel(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t, "")
	o := redis.Options{Mode: contract.RedisStandalone, Addresses: []string{s.Addr()}}
	a, b := pair(t, o)
	b.join(t, "lobby")
	b.join(t, "other")
	const count = 500
	for i := range count {
		require.NoError(t, a.publish(t.Context(), "lobby", broker.Publication{Data: []byte{byte(i), byte(i >> 8)}}))
		require.NoError(t, a.publish(t.Context(), "other", broker.Publication{}))
	}
	last := -1
	for range 2 * count {
		m := b.next(t)
		if m.channel != "lobby" {
			continue
		}
		i := int(m.data[0]) | int(m.data[1])<<8
		require.Equal(t, last+1, i)
		last = i
	}
}

func TestRedisIgnoresForeignMessages(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t, "")
	n := start(t, redis.Options{Mode: contract.RedisStandalone, Addresses: []string{s.Addr()}})
	n.await(t, contract.BrokerReady)
	n.join(t, "lobby")
	client := s.Client()
	defer func() { require.NoError(t, client.Close()) }()
	for _, payload := range []string{"", "x", "hello", "\x07\x00future", "\x03", "\x02\x08\x05"} {
		require.NoError(t, client.Publish(t.Context(), "test:c:lobby", payload).Err())
	}
	require.NoError(t, n.publish(t.Context(), "lobby", broker.Publication{Data: []byte("ours")}))
	require.Equal(t, message{"lobby", "ours", false}, n.next(t))
}

func TestRedisSurvivesASentinelFailover(t *testing.T) {
	t.Parallel()
	s := redistest.WithSentinel(t)
	o := redis.Options{Mode: contract.RedisSentinel, Addresses: s.Addresses, MasterName: s.MasterName}
	a, b := pair(t, o)
	b.join(t, "lobby")

	s.Master.Stop()
	a.await(t, contract.BrokerDegraded)
	client := s.Replica.Client()
	defer func() { require.NoError(t, client.Close()) }()
	redistest.Await(t, "the replica to take over and have the channel", func(ctx context.Context) error {
		subscribers, err := client.PubSubNumSub(ctx, "test:c:lobby").Result()
		if err == nil && subscribers["test:c:lobby"] != 1 {
			return broker.ErrUnavailable
		}
		return err
	})
	a.await(t, contract.BrokerReady)
	b.await(t, contract.BrokerReady)
	require.NoError(t, a.publish(t.Context(), "lobby", broker.Publication{Data: []byte("after")}))
	require.Equal(t, message{"lobby", "after", false}, b.next(t))
}

// A slot that moves takes its channels to another node, and their subscriptions with them.
func TestRedisFollowsSlotsThatMove(t *testing.T) {
	t.Parallel()
	c := redistest.WithCluster(t)
	o := redis.Options{Mode: contract.RedisCluster, Addresses: c.Addresses()}
	a, b := pair(t, o)
	channels := make([]string, 0, 64)
	for i := range cap(channels) {
		channels = append(channels, string(rune('A'+i)))
	}
	for _, channel := range channels {
		b.join(t, channel)
	}
	for part := range 6 {
		c.Move(t, fmt.Sprintf("{%02d}", part))
	}
	b.await(t, contract.BrokerReady)
	for _, channel := range channels {
		redistest.Await(t, "publications to flow again", func(ctx context.Context) error {
			if err := a.publish(ctx, channel, broker.Publication{Data: []byte(channel)}); err != nil {
				return err
			}
			select {
			case m := <-b.Got:
				if m.Channel == channel {
					return nil
				}
			case <-time.After(100 * time.Millisecond):
			}
			return broker.ErrUnavailable
		})
	}
}

// A Redis that hangs is worse than one that is gone: connections stay open, and nothing comes.
func TestPublishDoesNotWaitForAHangingRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t, "")
	n := start(t, redis.Options{Mode: contract.RedisStandalone, Addresses: []string{s.Addr()}})
	n.await(t, contract.BrokerReady)
	n.join(t, "lobby")
	s.Pause()
	defer s.Resume()
	begin := time.Now()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := n.publish(t.Context(), "lobby", broker.Publication{}); !errors.Is(err, broker.ErrUnavailable) {
				t.Errorf("publish: %v", err)
			}
		})
	}
	wg.Wait()
	require.Less(t, time.Since(begin), 7*time.Second)
	n.await(t, contract.BrokerDegraded)
	s.Resume()
	n.await(t, contract.BrokerReady)
	require.Eventually(t, func() bool {
		return n.publish(t.Context(), "lobby", broker.Publication{Data: []byte("back")}) == nil
	}, timeout, 10*time.Millisecond)
	for n.next(t).data != "back" {
	}
}

// Clients can look at as many channels as they can think of: what Redis keeps of a look is soon forgotten.
func TestBrokerForgetsStreamsThatWereOnlyRead(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t, "")
	n := start(t, redis.Options{Mode: contract.RedisStandalone, Addresses: []string{s.Addr()}})
	n.await(t, contract.BrokerReady)
	client := s.Client()
	defer func() { _ = client.Close() }()
	var epochs []string
	for range 2 {
		stream, err := n.History(t.Context(), "invented", broker.HistoryQuery{})
		require.NoError(t, err)
		epochs = append(epochs, stream.Top.Epoch)
		keys, err := client.Keys(t.Context(), "*").Result()
		require.NoError(t, err)
		require.Len(t, keys, 1)
		left, err := client.PTTL(t.Context(), keys[0]).Result()
		require.NoError(t, err)
		require.Greater(t, left, broker.EmptyTTL-time.Minute, "each look keeps it for as long again")
		require.LessOrEqual(t, left, broker.EmptyTTL)
		require.NoError(t, client.PExpire(t.Context(), keys[0], time.Minute).Err())
	}
	require.Equal(t, epochs[0], epochs[1])
}
