// Package soak lets a gateway, built with the race detector, go through everything that clients do in
// years, in minutes: they come and go, never read, fall silent, send what is too large or broken, leave
// in the middle of a handshake, come all at once. Afterwards nothing of it may be left, and a pair of
// well-behaved clients must not have noticed.
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
	// usual is how long it takes when SOAK says nothing, as part of the other tests.
	usual = 20 * time.Second
	// warmup is the part of it that shows where the gateway is when it has seen everything once.
	warmup = 4
	// patience is how long anything may take that should happen at once, on a machine that is busy.
	patience = 30 * time.Second
)

// Limits of the gateway: low, so that they are met.
const (
	messageLimit = 64 << 10
	queueLimit   = 128 << 10
	// connectRate is less than a flood wants, and more than the others do.
	connectRate = 400
)

func TestSoak(t *testing.T) {
	whole := process.Lasting(t, "SOAK", usual)
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
	round(t, g, "warm-up", whole/warmup)
	before := settle(t, g)
	round(t, g, "soak", whole-whole/warmup)
	after, err := returned(t.Context(), g, before)
	t.Logf("what is left:\n%s", compare(before, after))
	require.NoError(t, err)

	m, err := g.Metrics(t.Context())
	require.NoError(t, err)
	require.Zero(t, m["websocket_queued_bytes"], "memory of queues that are gone")
	for _, reason := range []string{"slow", "heartbeat"} {
		require.Positive(t, m["websocket_dropped_clients_total{reason="+reason+"}"], "clients given up for this reason")
	}
	// With races found, the race detector makes the exit code 66.
	require.NoError(t, g.Stop())
	// A panic in a handler is recovered, and told as one that failed.
	for _, word := range []string{"DATA RACE", "panic", "fatal error", "handler failed"} {
		require.NotContains(t, g.Log(), word)
	}
}

// round runs all actors for some time, and returns when they are gone.
func round(t *testing.T, g *process.Gateway, name string, lasts time.Duration) {
	t.Helper()
	// No deadline: a dialer takes it for its own, and fails by it before the context says that it is over.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer time.AfterFunc(lasts, cancel).Stop()
	// The pair is there before the others, and leaves after them.
	pair := meet(t, g.Addr)
	s := &stage{gateway: g, tally: newTally()}
	s.run(ctx)
	progress(ctx, t, s, pair, name)
	cancel()
	s.wait()
	pair.part(t, s.tally)
	t.Logf("%s, %v:\n%s", name, lasts, s.tally)
	require.Empty(t, s.tally.problems(), "what no client should see")
}

// progress says now and then how it goes, until the time is over, the gateway is, or the pair saw what it should not.
func progress(ctx context.Context, t *testing.T, s *stage, p *pair, name string) {
	t.Helper()
	g := s.gateway
	began := time.Now()
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
			t.Logf("%s, %v: %s; %s", name, time.Since(began).Round(time.Second), residueOf(m),
				strings.Join(s.tally.short(), ", "))
		}
	}
}
