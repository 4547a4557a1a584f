// Package soak tests a gateway, built with the race detector, with all kinds of misbehaving clients at the same time:
// they connect and leave, never read, stop answering, send frames that are too large or malformed, abort handshakes and
// connect in floods. Afterwards the gateway must have released all resources, and a pair of well-behaved clients must
// have received every message.
package soak

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/test/process"
)

const (
	// defaultDuration is how long the test runs when the environment variable SOAK is not set.
	defaultDuration = 20 * time.Second
	// One warmupShare-th of the time is the warm-up, after which the gateway's resources are the reference.
	warmupShare = 4
	// timeout bounds waits for events that should happen at once, on a busy machine.
	timeout = 30 * time.Second
)

// Limits of the gateway, low enough that the clients reach them.
const (
	messageLimit = 64 << 10
	queueLimit   = 128 << 10
	// connectRate is less than a flood needs, and more than the other clients need.
	connectRate = 400
)

func TestSoak(t *testing.T) {
	duration := process.Duration(t, "SOAK", defaultDuration)
	g := process.Start(t, process.Build(t, "-race"), "soak",
		"--"+contract.KeyMaxMessageBytes, strconv.Itoa(messageLimit),
		"--"+contract.KeyMaxQueuedBytes, strconv.Itoa(queueLimit),
		"--"+contract.KeyConnectRate, strconv.Itoa(connectRate),
		"--"+contract.KeyMessageRate, "0",
		"--"+contract.KeyCompression,
		"--"+contract.KeyPingInterval, "3s",
		"--"+contract.KeyPongTimeout, "2500ms",
		"--"+contract.KeyLogLevel, "warn",
	)
	round(t, g, "warm-up", duration/warmupShare)
	before := idleResources(t, g)
	round(t, g, "soak", duration-duration/warmupShare)
	after, err := awaitReturn(t.Context(), g, before)
	t.Logf("what is left:\n%s", table(before, after))
	require.NoError(t, err)

	m, err := g.Metrics(t.Context())
	require.NoError(t, err)
	require.Zero(t, m["websocket_queued_bytes"], "memory of queues that are gone")
	for _, reason := range []string{"slow", "heartbeat"} {
		require.Positive(t, m["websocket_dropped_clients_total{reason="+reason+"}"], "clients given up for this reason")
	}
	// When the race detector has found a race, the exit code is 66.
	require.NoError(t, g.Stop())
	// The gateway recovers a panic in a handler and logs it as a failed one.
	for _, word := range []string{"DATA RACE", "panic", "fatal error", "handler failed"} {
		require.NotContains(t, g.Log(), word)
	}
}

// round runs all actors for a time, and blocks until they have ended.
func round(t *testing.T, g *process.Gateway, name string, duration time.Duration) {
	t.Helper()
	// The context has no deadline, because a dialer would fail at the deadline before ctx.Err() is set.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer time.AfterFunc(duration, cancel).Stop()
	// The pair connects before the actors, and leaves after them.
	pair := startPair(t, g.Addr)
	s := &actorSet{gateway: g, tally: newTally()}
	s.run(ctx)
	progress(ctx, t, s, pair, name)
	cancel()
	s.wait()
	pair.stop(t, s.tally)
	t.Logf("%s, %v:\n%s", name, duration, s.tally)
	require.Empty(t, s.tally.problems(), "what no client should see")
}

// progress logs the state every 10 s until ctx ends, the gateway has exited, or the pair has failed.
func progress(ctx context.Context, t *testing.T, s *actorSet, p *pair, name string) {
	t.Helper()
	g := s.gateway
	started := time.Now()
	every := time.NewTicker(10 * time.Second)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.failed.Done():
			return
		case <-g.Ended():
			t.Fatalf("the gateway ended: %v", g.Stop())
		case <-every.C:
		}
		if m, err := g.Metrics(ctx); err == nil {
			t.Logf("%s, %v: %s; %s", name, time.Since(started).Round(time.Second), resourcesOf(m),
				strings.Join(s.tally.totals(), ", "))
		}
	}
}
