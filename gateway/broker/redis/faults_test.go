package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/redis"
	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/internal/channel"
	"github.com/wsfleet/wsfleet/internal/contract"
)

var kept = channel.History{Size: 10_000, TTL: channel.Duration(time.Minute)}

// keep publishes into a stream.
func (n *node) keep(t *testing.T, name, data string) broker.PublishResult {
	t.Helper()
	r, err := n.Publish(t.Context(), name, broker.Publication{Data: []byte(data)}, broker.PublishOptions{History: kept})
	require.NoError(t, err)
	return r
}

// publishUntilDone repeats an idempotent publish until the broker answers it.
func (n *node) publishUntilDone(ctx context.Context, name, data string) error {
	for {
		o := broker.PublishOptions{History: kept, IdempotencyKey: data}
		_, err := n.Publish(ctx, name, broker.Publication{Data: []byte(data)}, o)
		if !errors.Is(err, broker.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
	}
}

// stream is all of one, whose offsets have no gap.
func (n *node) stream(t *testing.T, name string) (data []string, top broker.Position) {
	t.Helper()
	s, err := n.History(t.Context(), name, broker.HistoryQuery{Limit: -1})
	require.NoError(t, err)
	for i, p := range s.Publications {
		require.Equal(t, s.Publications[0].Offset+uint64(i), p.Offset)
		data = append(data, string(p.Data))
	}
	return data, s.Top
}

func standalone(t *testing.T) (*redistest.Server, redis.Options) {
	t.Helper()
	s := redistest.Standalone(t, "")
	return s, redis.Options{Mode: contract.RedisStandalone, Addresses: []string{s.Addr()}}
}

func TestEpochsEndWhenRedisLosesItsMemory(t *testing.T) {
	t.Parallel()
	s, o := standalone(t)
	a, b := pair(t, o)
	before := a.keep(t, "lobby", "x").Position
	_, err := a.Join(t.Context(), "lobby", broker.ClientInfo{Client: "c"}, time.Minute)
	require.NoError(t, err)

	s.Stop()
	a.await(t, contract.BrokerDegraded)
	for _, err := range everyCall(a) {
		require.ErrorIs(t, err, broker.ErrUnavailable)
	}
	s.Start()
	a.await(t, contract.BrokerReady)
	b.await(t, contract.BrokerReady)

	got, err := b.History(t.Context(), "lobby", broker.HistoryQuery{Limit: -1, Since: &before})
	require.NoError(t, err)
	require.Empty(t, got.Publications)
	require.Zero(t, got.Top.Offset)
	require.NotEqual(t, before.Epoch, got.Top.Epoch)
	require.Equal(t, broker.Position{Offset: 1, Epoch: got.Top.Epoch}, a.keep(t, "lobby", "y").Position)
	missing, _, err := a.Renew(t.Context(), "lobby", []string{"c"}, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []string{"c"}, missing)
	redistest.Await(t, "the inbox to be there again", func(ctx context.Context) error {
		if reached, err := a.Send(ctx, b.Instance, nil); err != nil || !reached {
			return errors.Join(err, errors.New("not reached"))
		}
		return nil
	})
}

// everyCall makes every call that needs Redis, and returns what came of each.
func everyCall(n *node) map[string]error {
	ctx := context.Background()
	m := broker.ClientInfo{Client: "c", User: "u"}
	var mu sync.Mutex
	out := map[string]error{}
	var wg sync.WaitGroup
	for name, call := range map[string]func() error{
		"publish": func() error { return n.publish(ctx, "x", broker.Publication{}) },
		"keep": func() error {
			_, err := n.Publish(ctx, "x", broker.Publication{}, broker.PublishOptions{History: kept})
			return err
		},
		"history":    func() error { _, err := n.History(ctx, "x", broker.HistoryQuery{}); return err },
		"remove":     func() error { return n.RemoveHistory(ctx, "x") },
		"end epoch":  func() error { return n.EndEpoch(ctx, "x") },
		"join":       func() error { _, err := n.Join(ctx, "x", m, time.Minute); return err },
		"leave":      func() error { _, _, err := n.Leave(ctx, "x", m, 0); return err },
		"renew":      func() error { _, _, err := n.Renew(ctx, "x", []string{"c"}, time.Minute); return err },
		"sweep":      func() error { _, err := n.Sweep(ctx, "x"); return err },
		"members":    func() error { _, err := n.Members(ctx, "x", 0); return err },
		"stats":      func() error { _, _, err := n.PresenceStats(ctx, "x"); return err },
		"announce":   func() error { return n.Announce(ctx, nil, time.Minute) },
		"withdraw":   func() error { return n.Withdraw(ctx) },
		"gateways":   func() error { _, err := n.Gateways(ctx); return err },
		"send":       func() error { _, err := n.Send(ctx, "x", nil); return err },
		"register":   func() error { return n.Register(ctx, []string{"u"}, time.Minute) },
		"deregister": func() error { return n.Deregister(ctx, []string{"u"}) },
		"lookup":     func() error { _, err := n.Lookup(ctx, "u"); return err },
		"revoke":     func() error { return n.Revoke(ctx, "u", time.Now()) },
		"revoked":    func() error { _, err := n.Revoked(ctx, "u"); return err },
		"occupy":     func() error { _, err := n.Occupy(ctx, []string{"x"}, time.Minute); return err },
		"vacate":     func() error { _, err := n.Vacate(ctx, []string{"x"}); return err },
		"expire":     func() error { _, err := n.VacateExpired(ctx, time.Minute); return err },
	} {
		wg.Go(func() {
			err := call()
			mu.Lock()
			defer mu.Unlock()
			out[name] = err
		})
	}
	wg.Wait()
	return out
}

// A call that comes too late may have been made all the same. A key tells.
func TestPublishWithAKeyAndAHangingRedis(t *testing.T) {
	t.Parallel()
	s, o := standalone(t)
	n := start(t, o)
	n.await(t, contract.BrokerReady)
	n.keep(t, "lobby", "first")
	s.Pause()
	defer s.Resume()
	begin := time.Now()
	once := broker.PublishOptions{History: kept, IdempotencyKey: "key"}
	p := broker.Publication{Data: []byte("second")}
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := n.Publish(t.Context(), "lobby", p, once); !errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("publish: %v", err)
		}
	})
	for name, err := range everyCall(n) {
		require.ErrorIs(t, err, broker.ErrUnavailable, name)
	}
	wg.Wait()
	require.Less(t, time.Since(begin), 7*time.Second)
	s.Resume()
	n.await(t, contract.BrokerReady)
	require.NoError(t, n.publishUntilDone(t.Context(), "other", "works again"))
	_, err := n.Publish(t.Context(), "lobby", p, once)
	require.NoError(t, err)
	data, _ := n.stream(t, "lobby")
	require.Equal(t, []string{"first", "second"}, data)
}

func TestCallSendsForgottenScriptsAgain(t *testing.T) {
	t.Parallel()
	s, o := standalone(t)
	a, b := pair(t, o)
	b.join(t, "lobby")
	client := s.Client()
	defer func() { require.NoError(t, client.Close()) }()
	for round := range 20 {
		require.NoError(t, client.ScriptFlush(t.Context()).Err())
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				_, err := a.Publish(t.Context(), "lobby", broker.Publication{Data: fmt.Append(nil, round, i)},
					broker.PublishOptions{History: kept})
				if err != nil {
					t.Error(err)
				}
			})
		}
		for name, err := range everyCall(b) {
			require.NoError(t, err, name)
		}
		wg.Wait()
	}
	data, top := a.stream(t, "lobby")
	require.Len(t, data, 200)
	require.EqualValues(t, 200, top.Offset)
	for i := range 200 {
		require.EqualValues(t, i+1, b.Next(t).Offset)
	}
}

// Redis may throw keys away when its memory is full.
func TestEpochsEndWithALostPosition(t *testing.T) {
	t.Parallel()
	s, o := standalone(t)
	n := start(t, o)
	n.await(t, contract.BrokerReady)
	client := s.Client()
	defer func() { require.NoError(t, client.Close()) }()
	for name, next := range map[string]func() broker.Position{
		"publish": func() broker.Position { return n.keep(t, "publish", "new").Position },
		"read":    func() broker.Position { _, top := n.stream(t, "read"); return top },
	} {
		n.keep(t, name, "old")
		before := n.keep(t, name, "old").Position
		require.NoError(t, client.Del(t.Context(), "test:t:"+name).Err())
		require.NotEqual(t, before.Epoch, next().Epoch)
		data, _ := n.stream(t, name)
		require.NotContains(t, data, "old")
	}
	n.keep(t, "lost", "1")
	n.keep(t, "lost", "2")
	require.NoError(t, client.Del(t.Context(), "test:s:lost").Err())
	n.keep(t, "lost", "3")
	data, top := n.stream(t, "lost")
	require.Equal(t, []string{"3"}, data)
	require.EqualValues(t, 3, top.Offset)
}

func TestHistoryRejectsAForeignEntry(t *testing.T) {
	t.Parallel()
	s, o := standalone(t)
	n := start(t, o)
	n.await(t, contract.BrokerReady)
	n.keep(t, "lobby", "x")
	client := s.Client()
	defer func() { require.NoError(t, client.Close()) }()
	require.NoError(t, client.Do(t.Context(), "xadd", "test:s:lobby", "2-0", "p", "\x09future").Err())
	_, err := n.History(t.Context(), "lobby", broker.HistoryQuery{Limit: -1})
	require.ErrorIs(t, err, broker.ErrEnvelope, "to leave it out would be a gap")

	require.NoError(t, client.HSet(t.Context(), "test:pm:lobby", "future", "+3:").Err())
	_, err = n.Join(t.Context(), "lobby", broker.ClientInfo{Client: "c"}, time.Minute)
	require.NoError(t, err)
	all, err := n.Members(t.Context(), "lobby", 0)
	require.NoError(t, err)
	require.Len(t, all, 1, "the others are not lost with a member that cannot be read")
}

// Nothing stays in Redis for ever, and every name is this fleet's.
func TestRedisKeysExpire(t *testing.T) {
	t.Parallel()
	s, o := standalone(t)
	n := start(t, o)
	n.await(t, contract.BrokerReady)
	for name, err := range everyCall(n) {
		require.NoError(t, err, name)
	}
	m := broker.ClientInfo{Client: "c", User: "u"}
	for range 2 {
		n.keep(t, "kept", "x")
		_, err := n.History(t.Context(), "read", broker.HistoryQuery{})
		require.NoError(t, err)
		_, err = n.Publish(t.Context(), "x", broker.Publication{}, broker.PublishOptions{IdempotencyKey: "k"})
		require.NoError(t, err)
		for channel, grace := range map[string]time.Duration{"there": 0, "away": time.Hour} {
			_, err = n.Join(t.Context(), channel, m, time.Minute)
			require.NoError(t, err)
			if grace > 0 {
				_, _, err = n.Leave(t.Context(), channel, m, grace)
				require.NoError(t, err)
			}
		}
		require.NoError(t, n.Register(t.Context(), []string{"u"}, time.Minute))
		_, err = n.Occupy(t.Context(), []string{"c"}, time.Minute)
		require.NoError(t, err)
		require.NoError(t, n.Announce(t.Context(), []byte("about"), time.Minute))
		require.NoError(t, n.Revoke(t.Context(), "u", time.Now()))
	}
	client := s.Client()
	defer func() { require.NoError(t, client.Close()) }()
	keys, err := client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(keys), 16)
	for _, key := range keys {
		require.True(t, strings.HasPrefix(key, "test:"), key)
		ttl, err := client.PTTL(t.Context(), key).Result()
		require.NoError(t, err)
		require.Positive(t, ttl, key)
	}
	for key, minimum := range map[string]time.Duration{
		"test:t:kept":   24*time.Hour - time.Minute,
		"test:t:read":   broker.EmptyTTL - time.Minute,
		"test:pm:there": 5 * time.Minute,
		"test:pa:away":  time.Hour,
		"test:pm:away":  time.Hour,
		"test:r:u":      broker.RevocationTTL - time.Minute,
		"test:i:1:x:k":  broker.IdempotencyTTL - time.Minute,
		"test:o":        24 * time.Hour,
	} {
		ttl, err := client.PTTL(t.Context(), key).Result()
		require.NoError(t, err)
		require.Greater(t, ttl, minimum, key)
	}
}

// While a slot moves nothing is published twice, and none of what it holds is lost but the beginning of its
// streams: the other node cannot know that it has all of them. An epoch ends once, for everybody.
func TestRedisFollowsSlotsWithTheirStreams(t *testing.T) {
	t.Parallel()
	c := redistest.WithCluster(t)
	a, b := pair(t, redis.Options{Mode: contract.RedisCluster, Addresses: c.Addresses()})
	channels := []string{"one", "two", "three", "four"}
	before := make([]broker.Position, 0, len(channels))
	for _, name := range channels {
		b.join(t, name)
		before = append(before, a.keep(t, name, "before").Position)
		_, err := a.Join(t.Context(), name, broker.ClientInfo{Client: "c", User: "u"}, time.Minute)
		require.NoError(t, err)
	}
	require.NoError(t, a.Revoke(t.Context(), "u", time.Now()))
	_, err := a.Occupy(t.Context(), channels, time.Millisecond)
	require.NoError(t, err)
	moved := make(chan struct{})
	counts := make([]int, len(channels))
	var wg sync.WaitGroup
	for i, name := range channels {
		wg.Go(func() {
			for enough := false; !enough; counts[i]++ {
				select {
				case <-moved:
					enough = true
				default:
				}
				if err := a.publishUntilDone(t.Context(), name, fmt.Sprint(counts[i])); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	for part := range 16 {
		c.Move(t, fmt.Sprintf("{%02d}", part))
	}
	close(moved)
	wg.Wait()
	b.await(t, contract.BrokerReady)
	for i, name := range channels {
		data, top := b.stream(t, name)
		require.NotEqual(t, before[i].Epoch, top.Epoch, name)
		require.Equal(t, broker.Stream{Top: top}, a.since(t, name, before[i]), name)
		require.EqualValues(t, len(data), top.Offset, name)
		want := make([]string, 0, counts[i])
		for k := counts[i] - len(data); k < counts[i]; k++ {
			want = append(want, fmt.Sprint(k))
		}
		require.Equal(t, want, data, name)
		all, err := b.Members(t.Context(), name, 0)
		require.NoError(t, err)
		require.Len(t, all, 1)
	}
	last := map[string]broker.Position{}
	epochs := map[string]map[string]bool{}
	for len(b.Got) > 0 {
		d := <-b.Got
		if d.Epoch == last[d.Channel].Epoch {
			require.Greater(t, d.Offset, last[d.Channel].Offset, d.Channel)
		}
		last[d.Channel] = d.Position
		if epochs[d.Channel] == nil {
			epochs[d.Channel] = map[string]bool{}
		}
		epochs[d.Channel][d.Epoch] = true
		require.LessOrEqual(t, len(epochs[d.Channel]), 2, "one move, one end")
	}
	until, err := b.Revoked(t.Context(), "u")
	require.NoError(t, err)
	require.False(t, until.IsZero())
	var vacated []string
	redistest.Await(t, "the channels to be vacated", func(ctx context.Context) error {
		some, err := b.VacateExpired(ctx, watchTTL)
		if vacated = append(vacated, some...); err == nil && len(vacated) < len(channels) {
			err = errors.New("they are not")
		}
		return err
	})
	require.ElementsMatch(t, channels, vacated)
	redistest.Await(t, "the inbox to have moved as well", func(ctx context.Context) error {
		if reached, err := a.Send(ctx, b.Instance, []byte("hello")); err != nil || !reached {
			return errors.Join(err, errors.New("not reached"))
		}
		return nil
	})
	require.Equal(t, "hello", string(<-b.Messages))
}

// Redis runs no script whose keys are partly here and partly there. Their way is short.
func TestCallWaitsForKeysThatMove(t *testing.T) {
	t.Parallel()
	c := redistest.WithCluster(t)
	a := start(t, redis.Options{Mode: contract.RedisCluster, Addresses: c.Addresses()})
	a.await(t, contract.BrokerReady)
	a.keep(t, "lobby", "first")
	var part int
	for part = range 16 {
		client := c.Nodes[0].Client()
		n, err := client.ClusterKeySlot(t.Context(), fmt.Sprintf("{%02d}", part)).Result()
		require.NoError(t, err)
		held := 0
		for _, s := range c.Nodes {
			node := s.Client()
			keys, _ := node.ClusterGetKeysInSlot(t.Context(), int(n), 10).Result()
			held += len(keys)
			require.NoError(t, node.Close())
		}
		require.NoError(t, client.Close())
		if held > 0 {
			break
		}
	}
	published := make(chan error, 1)
	c.MoveDuring(t, fmt.Sprintf("{%02d}", part), func() {
		go func() {
			_, err := a.Publish(t.Context(), "lobby", broker.Publication{Data: []byte("second")},
				broker.PublishOptions{History: kept})
			published <- err
		}()
		redistest.Await(t, "the script to be refused", func(ctx context.Context) error {
			for _, s := range c.Nodes {
				client := s.Client()
				stats, err := client.Info(ctx, "errorstats").Result()
				_ = client.Close()
				if err != nil || strings.Contains(stats, "TRYAGAIN") {
					return err
				}
			}
			return errors.New("it was not")
		})
	})
	require.NoError(t, <-published)
	data, _ := a.stream(t, "lobby")
	require.Equal(t, []string{"second"}, data, "the node that took the slot began an epoch")
}

// A command whose answer was lost may have been run: only its sender decides to send it again.
func TestPublishIsNotSentAgainAfterALostReply(t *testing.T) {
	t.Parallel()
	c := redistest.WithCluster(t)
	a, b := pair(t, redis.Options{Mode: contract.RedisCluster, Addresses: c.Addresses()})
	stop := make(chan struct{})
	var killing, publishing sync.WaitGroup
	for _, s := range c.Nodes {
		killing.Go(func() {
			client := s.Client()
			defer func() { _ = client.Close() }()
			for {
				select {
				case <-stop:
					return
				default:
					_ = client.ClientKillByFilter(t.Context(), "type", "normal", "skipme", "yes").Err()
				}
			}
		})
	}
	for i := range 10 {
		publishing.Go(func() {
			for k := range 50 {
				_, _ = a.Publish(t.Context(), fmt.Sprint("lobby ", i), broker.Publication{Data: fmt.Append(nil, k)},
					broker.PublishOptions{History: kept})
			}
		})
	}
	publishing.Wait()
	close(stop)
	killing.Wait()
	b.await(t, contract.BrokerReady)
	total := 0
	for i := range 10 {
		var data []string
		redistest.Await(t, "connections to last", func(ctx context.Context) error {
			s, err := b.History(ctx, fmt.Sprint("lobby ", i), broker.HistoryQuery{Limit: -1})
			for _, p := range s.Publications {
				data = append(data, string(p.Data))
			}
			return err
		})
		seen := map[string]bool{}
		for _, d := range data {
			require.False(t, seen[d], "%s is there twice", d)
			seen[d] = true
		}
		total += len(data)
	}
	require.Positive(t, total, "publications that were taken")
}

// watchTTL is the TTL that the tests pass to VacateExpired.
const watchTTL = 2 * time.Second

// A TTL that could not be renewed while Redis was unreachable does not expire as soon as Redis is back.
func TestVacateExpiredReturnsNothingRightAfterAnOutage(t *testing.T) {
	t.Parallel()
	s, o := standalone(t)
	a, b := pair(t, o)
	client := s.Client()
	defer func() { require.NoError(t, client.Close()) }()
	for range 2 {
		_, err := a.Occupy(t.Context(), []string{"x"}, time.Millisecond)
		require.NoError(t, err)
		began := time.Now()
		redistest.Await(t, "the channel to be vacated", func(ctx context.Context) error {
			expired, err := b.VacateExpired(ctx, watchTTL)
			if err == nil && !slices.Equal([]string{"x"}, expired) {
				err = fmt.Errorf("it is %v", expired)
			}
			return err
		})
		require.GreaterOrEqual(t, time.Since(began), watchTTL/2-10*time.Millisecond)
		redistest.Await(t, "a time without calls", func(ctx context.Context) error {
			asked, err := client.Exists(ctx, "test:w").Result()
			if err == nil && asked > 0 {
				err = errors.New("it is not over")
			}
			return err
		})
	}
}

// Nothing of a channel without subscribers stays in Redis, whichever gateway has vacated it.
func TestVacateLeavesNoKeys(t *testing.T) {
	t.Parallel()
	s, o := standalone(t)
	a, b := pair(t, o)
	_, err := a.Occupy(t.Context(), []string{"expired", "vacated"}, time.Millisecond)
	require.NoError(t, err)
	_, err = b.Occupy(t.Context(), []string{"vacated"}, time.Minute)
	require.NoError(t, err)
	redistest.Await(t, "the TTL of a to be over", func(ctx context.Context) error {
		vacated, err := b.Vacate(ctx, []string{"vacated"})
		if err == nil && !slices.Equal([]string{"vacated"}, vacated) {
			err = fmt.Errorf("it is %v", vacated)
		}
		return err
	})
	redistest.Await(t, "the other channel to expire", func(ctx context.Context) error {
		expired, err := b.VacateExpired(ctx, watchTTL)
		if err == nil && len(expired) == 0 {
			err = errors.New("it has not")
		}
		return err
	})
	client := s.Client()
	defer func() { require.NoError(t, client.Close()) }()
	redistest.Await(t, "Redis to be empty", func(ctx context.Context) error {
		keys, err := client.Keys(ctx, "*").Result()
		if err == nil && len(keys) > 0 {
			err = fmt.Errorf("it has %v", keys)
		}
		return err
	})
}
