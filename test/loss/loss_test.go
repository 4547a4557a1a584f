// Package loss tests that a fleet loses no messages. Clients of the SDK are subscribed while gateways are killed and
// connections are cut, and backends publish numbered messages. In channels with recovery every client must receive
// every number once, in order and unchanged, and no gateway may ever refuse a recovery.
package loss

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/test/process"
)

const (
	// defaultDuration is how long the test runs when the environment variable LOSS is not set.
	defaultDuration = 20 * time.Second
	// timeout bounds waits for events that should happen at once, on a busy machine.
	timeout = 30 * time.Second

	gateways    = 3
	listeners   = 200
	channels    = 50
	perListener = 8
	publishers  = 10
)

const apiKey = "loss-test-key"

// rules keep all small publications of a long run, and as many large ones as fit into Redis, which is much more than a
// client misses.
const rules = `[{"pattern":"loss:*","history":{"size":100000,"ttl":"1h"},"recovery":true},` +
	`{"pattern":"large:*","history":{"size":400,"ttl":"1h"},"recovery":true}]`

func TestFleetLosesNothing(t *testing.T) {
	if raceDetector {
		runWithoutRaceDetector(t)
		return
	}
	duration := process.Duration(t, "LOSS", defaultDuration)
	f := startFleet(t)
	p := &publisherSet{fleet: f, script: newScript()}
	all := startListeners(t, f, p)
	c := &chaos{fleet: f, listeners: all}

	p.runAll(t, duration, func(ctx context.Context) { c.run(ctx, t) })
	s := collectTally(t, all, p)
	s.kills, s.cuts, s.queued, s.tries, s.repeated = c.kills, c.cuts, c.queued, p.tries.Load(), p.repeated.Load()
	t.Logf("%v: %v", duration, s)
	for _, line := range explain(ledgersOf(all), &c.killHistory,
		func(channel int) *history { return &p.accepted[channel] }) {
		t.Log(line)
	}
	gaps := f.sum(t, "websocket_stream_gaps_total")

	require.Positive(t, s.kills, "gateways that were killed")
	require.Positive(t, s.cuts, "connections that were cut")
	require.Greater(t, s.queued, float64(maxText), "bytes that waited in a gateway for clients that did not read")
	require.Positive(t, s.repeated, "publications that came again")
	require.Positive(t, s.unsubscribed, "subscriptions that were ended and begun again")
	require.Greater(t, s.maxRestored, maxText, "bytes that a client missed of one channel and has")
	require.Positive(t, s.restored, "publications that a client missed and has")
	require.Zero(t, s.unrecovered, "subscriptions that could not go on, though all is kept")
	require.Zero(t, s.lost, "publications that a client never had")
	require.Zero(t, s.duplicated, "publications that a client had twice")
	require.Zero(t, s.reordered, "publications that came after a later one")
	require.Zero(t, s.corrupted, "publications that are not what was published")
	require.Empty(t, s.endedForGood, "clients and subscriptions that were ended for good")
	require.Zero(t, gaps, "gaps that a gateway could not close")
	for _, g := range f {
		for _, word := range []string{"DATA RACE", "panic", "fatal error", "handler failed"} {
			require.NotContains(t, g.Log(), word)
		}
	}
}

// fleet is the set of gateways. All use one Redis.
type fleet []*process.Gateway

func startFleet(t *testing.T) fleet {
	t.Helper()
	binary := process.Build(t, strings.Fields(os.Getenv(gatewayFlags))...)
	redis := redistest.Standalone(t, "")
	f := make(fleet, 0, gateways)
	for i := range gateways {
		f = append(f, process.Start(t, binary, "gateway-"+strconv.Itoa(i),
			"--"+contract.KeyBroker, contract.BrokerRedis,
			"--"+contract.KeyRedisAddresses, redis.Addr(),
			"--"+contract.KeyAPIKey, apiKey,
			"--"+contract.KeyChannels, rules,
			"--"+contract.KeyLogLevel, "warn",
		))
	}
	return f
}

// sum adds up a metric over the current processes of all gateways.
func (f fleet) sum(t *testing.T, name string) (sum float64) {
	t.Helper()
	for _, g := range f {
		m, err := g.Metrics(t.Context())
		require.NoError(t, err)
		sum += m[name]
	}
	return sum
}

// ledgersOf returns the ledgers of all listeners.
func ledgersOf(all []*listener) (out []*ledger) {
	for _, l := range all {
		out = slices.AppendSeq(out, maps.Values(l.ledgers))
	}
	return out
}

func channelName(i int) string {
	if large(i) {
		return fmt.Sprintf("large:%d", i)
	}
	return fmt.Sprintf("loss:%d", i)
}
