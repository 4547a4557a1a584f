package redis_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/redis"
	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/internal/channel"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// infoNumber returns a number of a section of INFO.
func infoNumber(t *testing.T, s *redistest.Server, section, name string) int {
	t.Helper()
	client := s.Client()
	defer func() { require.NoError(t, client.Close()) }()
	info, err := client.Info(t.Context(), section).Result()
	require.NoError(t, err)
	found := regexp.MustCompile(regexp.QuoteMeta(name) + `[:=](\d+)`).FindStringSubmatch(info)
	require.Len(t, found, 2, "%s in %s", name, info)
	n, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	return n
}

// What does not fit is not sent, and Redis reads little of it.
func TestReadsLeaveInRedisWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	const bytes, size, count = 100_000, 10_000, 200
	s := redistest.Standalone(t, "")
	n := start(t, redis.Options{Mode: contract.RedisStandalone, Addresses: []string{s.Addr()}})
	n.await(t, contract.BrokerReady)
	large := make([]byte, size)
	for i := range count {
		_, err := n.Publish(t.Context(), "large", broker.Publication{Data: large},
			broker.PublishOptions{History: channel.History{Size: count, TTL: channel.Duration(time.Minute)}})
		require.NoError(t, err)
		_, err = n.Join(t.Context(), "large", broker.ClientInfo{Client: fmt.Sprint(i), ConnInfo: large}, time.Minute)
		require.NoError(t, err)
	}
	for what, c := range map[string]struct {
		read func() error
		most int
	}{
		"a page": {func() error {
			stream, err := n.History(t.Context(), "large", broker.HistoryQuery{Limit: -1, MaxBytes: bytes})
			require.Len(t, stream.Publications, bytes/size-1)
			return err
		}, bytes},
		"a page in reverse": {func() error {
			stream, err := n.History(t.Context(), "large", broker.HistoryQuery{Limit: -1, MaxBytes: bytes, Reverse: true})
			require.Len(t, stream.Publications, bytes/size-1)
			return err
		}, bytes},
		"members": {func() error {
			_, err := n.Members(t.Context(), "large", bytes)
			require.ErrorIs(t, err, broker.ErrTooLarge)
			return nil
		}, 0},
	} {
		// Probes, and this question, take some too.
		const others = 30_000
		before := infoNumber(t, s, "stats", "total_net_output_bytes")
		require.NoError(t, c.read(), what)
		require.Less(t, infoNumber(t, s, "stats", "total_net_output_bytes")-before, c.most+others, what)
	}
	require.Less(t, infoNumber(t, s, "commandstats", "cmdstat_xrange:calls"), 8)
	require.Less(t, infoNumber(t, s, "commandstats", "cmdstat_xrevrange:calls"), 8)
}
