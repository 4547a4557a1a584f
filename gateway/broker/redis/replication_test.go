package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/redis"
	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// since is what a client gets that comes back with a position.
func (n *node) since(t *testing.T, name string, at broker.Position) broker.Stream {
	t.Helper()
	s, err := n.History(t.Context(), name, broker.HistoryQuery{Limit: -1, Since: &at})
	require.NoError(t, err)
	return s
}

// overBy are the ways in which an epoch that is over can be met first. Each returns the new top.
var overBy = map[string]func(*testing.T, *node, string) broker.Position{
	"read":    func(t *testing.T, n *node, name string) broker.Position { _, top := n.stream(t, name); return top },
	"publish": func(t *testing.T, n *node, name string) broker.Position { return n.keep(t, name, "new").Position },
	"publish with a key": func(t *testing.T, n *node, name string) broker.Position {
		require.NoError(t, n.publishUntilDone(t.Context(), name, "new"))
		_, top := n.stream(t, name)
		return top
	},
}

// fill publishes to every channel of overBy, and returns where they are then.
func fill(t *testing.T, n *node, count int) map[string]broker.Position {
	t.Helper()
	at := map[string]broker.Position{}
	for name := range overBy {
		for range count {
			at[name] = n.keep(t, name, "old").Position
		}
	}
	return at
}

// over requires that nothing is left of old epochs, for any node, whatever comes first.
func over(t *testing.T, a, b *node, old ...map[string]broker.Position) {
	t.Helper()
	for name, meet := range overBy {
		top := meet(t, a, name)
		for _, n := range []*node{a, b} {
			for _, positions := range old {
				require.NotEqual(t, positions[name].Epoch, top.Epoch, name)
				require.Equal(t, broker.Stream{Top: top}, n.since(t, name, positions[name]), name)
			}
			data, same := n.stream(t, name)
			require.Equal(t, top, same, name)
			require.NotContains(t, data, "old", name)
		}
		require.Equal(t, broker.Position{Offset: top.Offset + 1, Epoch: top.Epoch}, b.keep(t, name, "next").Position,
			"the new epoch stays")
	}
}

// A replica that lacks the latest gives their offsets away again.
func TestEpochsEndWithAFailoverToAReplicaThatIsBehind(t *testing.T) {
	t.Parallel()
	s := redistest.WithSentinel(t)
	a, b := pair(t, redis.Options{Mode: contract.RedisSentinel, Addresses: s.Addresses, MasterName: s.MasterName})
	replicated := fill(t, a, 5)
	a.keep(t, "watched", "old")
	s.Replicated(t)
	var latest map[string]broker.Position
	stop := make(chan struct{})
	var watching sync.WaitGroup
	s.FailBehind(t, func() {
		latest = fill(t, a, 3)
		at := a.keep(t, "watched", "old").Position
		for _, n := range []*node{a, b} {
			watching.Go(func() { watch(t, n, at, stop) })
		}
	})
	a.await(t, contract.BrokerDegraded)
	a.await(t, contract.BrokerReady)
	b.await(t, contract.BrokerReady)
	over(t, a, b, replicated, latest)
	close(stop)
	watching.Wait()
}

// watch reads all the time. While the epoch lasts, no answer has less of it than an earlier one.
func watch(t *testing.T, n *node, at broker.Position, stop <-chan struct{}) {
	every := time.NewTicker(5 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case <-stop:
			return
		case <-every.C:
		}
		s, err := n.History(t.Context(), "watched", broker.HistoryQuery{})
		if err == nil && s.Top.Epoch == at.Epoch && s.Top != at {
			t.Errorf("%v came back as %v", at, s.Top)
		}
	}
}

// That nothing was lost is more than the new master can know.
func TestEpochsEndWithAFailover(t *testing.T) {
	t.Parallel()
	s := redistest.WithSentinel(t)
	a, b := pair(t, redis.Options{Mode: contract.RedisSentinel, Addresses: s.Addresses, MasterName: s.MasterName})
	before := fill(t, a, 5)
	s.Replicated(t)
	s.Master.Stop()
	a.await(t, contract.BrokerDegraded)
	b.await(t, contract.BrokerReady)
	a.await(t, contract.BrokerReady)
	over(t, a, b, before)
}

// A Redis starts with what it has on disk, and that may be old.
func TestEpochsEndWithARestartFromDisk(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]int{"an old copy": 3, "all of it": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, o := standalone(t)
			a, b := pair(t, o)
			saved := fill(t, a, 5)
			client := s.Client()
			defer func() { require.NoError(t, client.Close()) }()
			require.NoError(t, client.Save(t.Context()).Err())
			latest := saved
			if lost > 0 {
				latest = fill(t, a, lost)
			}
			s.Stop()
			a.await(t, contract.BrokerDegraded)
			s.Start()
			position, err := client.Get(t.Context(), "test:t:read").Result()
			require.NoError(t, err)
			require.Contains(t, position, saved["read"].Epoch, "the copy was not read")
			a.await(t, contract.BrokerReady)
			b.await(t, contract.BrokerReady)
			over(t, a, b, saved, latest)
		})
	}
}

// A master that follows another one for a while loses what that one did not have. Connections to it may
// live through all of it, and its process does.
func TestEpochsEndWithAMasterThatWasAReplica(t *testing.T) {
	t.Parallel()
	s, o := standalone(t)
	a, b := pair(t, o)
	other := redistest.Standalone(t, "")
	here, there := s.Client(), other.Client()
	defer func() { require.NoError(t, errors.Join(here.Close(), there.Close())) }()

	follow(t, there, s)
	copied := fill(t, a, 5)
	require.EqualValues(t, 1, here.Wait(t.Context(), 1, timeout).Val())
	require.NoError(t, there.Do(t.Context(), "replicaof", "no", "one").Err())
	latest := fill(t, a, 3)

	follow(t, here, other)
	c := start(t, redis.Options{Mode: contract.RedisStandalone, Addresses: []string{other.Addr()}})
	c.await(t, contract.BrokerReady)
	elsewhere := fill(t, c, 2)
	require.EqualValues(t, 1, there.Wait(t.Context(), 1, timeout).Val())
	_, err := a.History(t.Context(), "read", broker.HistoryQuery{})
	require.ErrorIs(t, err, broker.ErrUnavailable)
	require.ErrorContains(t, err, "READONLY", "nobody knows what a replica lacks")
	require.NoError(t, here.Do(t.Context(), "replicaof", "no", "one").Err())
	a.await(t, contract.BrokerReady)
	b.await(t, contract.BrokerReady)
	over(t, a, b, copied, latest, elsewhere)
}

// follow makes one server a replica of another, and waits until it has all of it.
func follow(t *testing.T, replica *goredis.Client, master *redistest.Server) {
	t.Helper()
	host, port, _ := strings.Cut(master.Addr(), ":")
	require.NoError(t, replica.Do(t.Context(), "replicaof", host, port).Err())
	redistest.Await(t, "the replica to have it all", func(ctx context.Context) error {
		info, err := replica.Info(ctx, "replication").Result()
		if err == nil && !strings.Contains(info, "master_link_status:up") {
			return errors.New(info)
		}
		return err
	})
}

// Without a failover no epoch ends, while connections break, and gateways and replicas come and go.
func TestEpochsStayWithoutAFailover(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*testing.T) (redis.Options, []*redistest.Server, func()){
		"standalone": func(t *testing.T) (redis.Options, []*redistest.Server, func()) {
			s, o := standalone(t)
			return o, []*redistest.Server{s}, func() {}
		},
		"sentinel": func(t *testing.T) (redis.Options, []*redistest.Server, func()) {
			s := redistest.WithSentinel(t)
			o := redis.Options{Mode: contract.RedisSentinel, Addresses: s.Addresses, MasterName: s.MasterName}
			return o, []*redistest.Server{s.Master}, func() {
				s.Replica.Stop()
				s.Replica.Start()
				s.Replicated(t)
			}
		},
		"cluster": func(t *testing.T) (redis.Options, []*redistest.Server, func()) {
			c := redistest.WithCluster(t)
			return redis.Options{Mode: contract.RedisCluster, Addresses: c.Addresses()}, c.Nodes, func() {}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, servers, replicas := begin(t)
			a, b := pair(t, o)
			first := fill(t, a, 1)
			troubles := map[string]func(){
				"replicas":             replicas,
				"broken connections":   func() { command(t, servers, "client", "kill", "type", "normal") },
				"broken subscriptions": func() { command(t, servers, "client", "kill", "type", "pubsub") },
				"forgotten scripts":    func() { command(t, servers, "script", "flush") },
				"a copy on disk":       func() { command(t, servers, "save") },
				"a new log on disk":    func() { command(t, servers, "bgrewriteaof") },
				"other gateways":       func() { a, b = pair(t, o) },
			}
			for what, trouble := range troubles {
				trouble()
				for name := range first {
					for i, n := range []*node{a, b} {
						require.NoError(t, n.publishUntilDone(t.Context(), name, fmt.Sprint(what, i)))
					}
				}
			}
			for name, at := range first {
				data, top := b.stream(t, name)
				require.Len(t, data, 1+2*len(troubles), name)
				require.Equal(t, broker.Position{Offset: uint64(len(data)), Epoch: at.Epoch}, top, name)
			}
		})
	}
}

// command gives a command to every server.
func command(t *testing.T, servers []*redistest.Server, args ...any) {
	t.Helper()
	for _, s := range servers {
		client := s.Client()
		require.NoError(t, client.Do(t.Context(), args...).Err())
		require.NoError(t, client.Close())
	}
}
