package redis

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/internal/ratelog"
)

// Links come and go at once; what is reported in the end is what they are in the end.
func TestStatusFollowsTheConnections(t *testing.T) {
	b := New(Options{
		Mode: contract.RedisCluster, Addresses: []string{"127.0.0.1:1"},
		Logger: slog.New(slog.DiscardHandler),
	})
	defer func() { require.NoError(t, b.client.Close()) }()
	for round := range 2000 {
		up := round%2 == 0
		var wg sync.WaitGroup
		for _, l := range b.conns {
			wg.Go(func() {
				l.set(!up, errSilent)
				l.set(up, errSilent)
			})
		}
		wg.Wait()
		want := contract.BrokerDegraded
		if up {
			want = contract.BrokerReady
		}
		require.Equal(t, want, b.Status().State, "round %d", round)
	}
}

func TestStatusLogsAnUnreachedRedisUntilItIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := New(Options{
			Mode: contract.RedisStandalone, Addresses: []string{"127.0.0.1:1"}, Username: "user", Password: "hunter2",
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		defer func() { require.NoError(t, b.client.Close()) }()
		refused := errors.New("connection refused")
		warnings := func() int { return strings.Count(log.String(), "level=WARN msg=\"broker not reached yet") }

		b.conns[0].set(false, refused)
		b.conns[0].set(false, refused)
		require.Equal(t, 1, warnings(), "one line for all attempts of a while")
		for _, says := range []string{"redis-addresses", "redis-username", "redis-password", "127.0.0.1:1",
			"connection refused"} {
			require.Contains(t, log.String(), says)
		}
		require.NotContains(t, log.String(), "hunter2")
		time.Sleep(ratelog.Interval)
		b.conns[0].set(false, refused)
		require.Equal(t, 2, warnings())

		b.conns[0].set(true, nil)
		time.Sleep(ratelog.Interval)
		b.conns[0].set(false, refused)
		require.Equal(t, 2, warnings(), "a lost broker has a line of its own")
		require.Contains(t, log.String(), "broker lost")
	})
}
