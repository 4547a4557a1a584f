package measure

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/hack/bench/internal/server"
)

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for i := 100; i > 0; i-- {
		hundred = append(hundred, time.Duration(i))
	}
	require.Equal(t, time.Duration(99), percentile(hundred, 0.99))
	require.Equal(t, time.Duration(50), percentile(hundred, 0.5))
	require.Equal(t, time.Duration(7), percentile([]time.Duration{7}, 0.99))
}

// small returns the settings of a run of 20 messages.
func small() Settings {
	return Settings{RelayedPerSecond: 1000, Duration: 20 * time.Millisecond, MessageBytes: 10, Publications: 2000}
}

func TestRelayedTimesMessagesFromWhenDue(t *testing.T) {
	// The relay blocks at first, so all messages that were due meanwhile are late, and not only the first.
	const block = 250 * time.Millisecond
	settings := small()
	settings.Duration = 200 * time.Millisecond
	pipe := make(chan string, 1000)
	blocked := false
	v, err := settings.relayed(t.Context(), relay{
		publish: func(_ context.Context, text string) error {
			if !blocked {
				blocked = true
				time.Sleep(block)
			}
			pipe <- text
			return nil
		},
		receive: func(context.Context) (string, error) { return <-pipe, nil },
	})
	require.NoError(t, err)
	require.Greater(t, v["redis-latency-p99"], 0.8*block.Seconds())
}

func TestRelayedFailsOnLostMessages(t *testing.T) {
	lost := errors.New("lost")
	_, err := small().relayed(t.Context(), relay{
		publish: func(context.Context, string) error { return nil },
		receive: func(context.Context) (string, error) { return "", lost },
	})
	require.ErrorIs(t, err, lost)
	_, err = small().relayed(t.Context(), relay{
		publish: func(context.Context, string) error { return nil },
		receive: func(context.Context) (string, error) { return strings.Repeat("x", 10), nil },
	})
	require.ErrorContains(t, err, "not a message of ours")
}

func TestRedisLatencyAndPublish(t *testing.T) {
	redis, err := server.StartRedis(t.Context())
	require.NoError(t, err)
	t.Cleanup(redis.Stop)
	v, err := bareRedis(t.Context(), small(), redis.Address)
	require.NoError(t, err)
	require.Positive(t, v["redis-latency-p99"])
	require.NoError(t, Publish(t.Context(), redis.Address, 2000, 10))

	v, err = redisPublish(t.Context(), Settings{Publications: 50_000, MessageBytes: 10}, server.Floor)
	require.NoError(t, err)
	require.Positive(t, v["redis-publish"])
}

func TestThroughGatewaysRelaysEveryMessage(t *testing.T) {
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "-C", "../../../..", "build", "-o",
		filepath.Join(bin, "wsfleet-gateway"), "./cmd/gateway")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	s := small()
	s.Bin, s.PingInterval, s.PongTimeout, s.MaxConnections = bin, time.Minute, time.Second, 2*pairs
	v, err := redisLatency(t.Context(), s, server.Redis)
	require.NoError(t, err)
	require.Positive(t, v["redis-latency-p99"])
}
