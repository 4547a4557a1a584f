package redis

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/contract"
)

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A channel is lost while the connection that brings its publications is down; commands are while any connection is.
func TestLostFollowsTheConnections(t *testing.T) {
	b := New(Options{
		Mode:      contract.RedisCluster,
		Addresses: []string{"127.0.0.1:1"},
		Logger:    slog.New(slog.DiscardHandler),
	})
	defer func() { require.NoError(t, b.client.Close()) }()
	_, part := b.names.channel("a")
	mine, other := b.conns[part], b.conns[(part+1)%len(b.conns)]
	require.False(t, isClosed(b.Lost("a")), "nothing is known before the first attempt")
	require.False(t, isClosed(b.loss.c()))

	mine.set(false, errSilent)
	require.True(t, isClosed(b.Lost("a")), "the first attempt failed")
	require.True(t, isClosed(b.loss.c()))
	for _, l := range b.conns {
		l.set(true, nil)
	}
	require.False(t, isClosed(b.Lost("a")))
	require.False(t, isClosed(b.loss.c()))

	waiting := b.Lost("a")
	other.set(false, errSilent)
	require.False(t, isClosed(waiting))
	require.True(t, isClosed(b.loss.c()))
	other.set(true, nil)
	mine.set(false, errSilent)
	require.True(t, isClosed(waiting))
}

// A command that waits for Redis ends soon after Redis is known to be lost, wherever it waits. Probes go on.
func TestPipelineEndsCommandsWhenRedisIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := newLoss()
		p := newPipeline(nil, lost)
		send := func(name string, send func(context.Context, redis.Cmder) error) <-chan error {
			ctx, cancel := context.WithTimeout(t.Context(), operationTimeout)
			done := make(chan error, 1)
			go func() {
				defer cancel()
				done <- send(ctx, redis.NewStringCmd(ctx, name))
			}()
			synctest.Wait()
			return done
		}
		sent := send("sent", p.send)
		<-p.requests
		queued, probe := send("queued", p.send), send("probe", p.sendPatiently)
		time.Sleep(time.Second)
		lost.set(true)
		time.Sleep(lostTimeout + time.Millisecond)
		require.ErrorIs(t, <-sent, errLost)
		require.ErrorIs(t, <-queued, errLost)
		require.Empty(t, probe)

		late, answered := send("late", p.send), send("answered", p.send)
		for r := range p.requests {
			if r.cmd.Name() == "answered" {
				r.done <- nil
				break
			}
		}
		time.Sleep(lostTimeout + time.Millisecond)
		require.ErrorIs(t, <-late, errLost)
		require.NoError(t, <-answered, "in time")
		require.ErrorIs(t, <-probe, context.DeadlineExceeded)
		require.ErrorIs(t, unavailable("get", errLost), broker.ErrUnavailable)
	})
}
