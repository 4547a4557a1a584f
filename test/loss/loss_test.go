// Package loss counts messages: real clients listen through a fleet whose gateways are killed and whose
// connections are cut, while backends publish numbers. In channels with recovery every client must have
// every number once, in order and as it was published, and no gateway may ever have to say that it cannot recover.
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
	// usual is how long it takes when LOSS says nothing, as part of the other tests.
	usual = 20 * time.Second
	// patience is how long anything may take that should happen at once, on a machine that is busy.
	patience = 30 * time.Second

	gateways    = 3
	listeners   = 200
	channels    = 50
	perListener = 8
	publishers  = 10
)

const apiKey = "loss-test-key"

// rules keep all that is published during the longest run that anybody would wait for, and of large
// publications what fits into Redis: much more than a client misses.
const rules = `[{"pattern":"loss:*","history":{"size":100000,"ttl":"1h"},"recovery":true},{"pattern":"large:*","history":{"size":400,"ttl":"1h"},"recovery":true}]`

func TestNothingIsLost(t *testing.T) {
	if raceDetector {
		again(t)
		return
	}
	whole := process.Lasting(t, "LOSS", usual)
	f := startFleet(t)
	p := &press{fleet: f, script: newScript()}
	all := listen(t, f, p)
	c := &chaos{fleet: f, listeners: all}

	p.run(t, whole, func(ctx context.Context) { c.run(ctx, t) })
	s := settle(t, all, p)
	s.kills, s.cuts, s.queued, s.tries, s.repeated = c.kills, c.cuts, c.queued, p.tries.Load(), p.repeated.Load()
	t.Logf("%v: %v", whole, s)
	for _, line := range explain(books(all), &c.deeds, func(channel int) *annals { return &p.taken[channel] }) {
		t.Log(line)
	}
	gaps := f.sum(t, "websocket_stream_gaps_total")

	require.Positive(t, s.kills, "gateways that were killed")
	require.Positive(t, s.cuts, "connections that were cut")
	require.Greater(t, s.queued, float64(mostText), "bytes that waited in a gateway for clients that did not read")
	require.Positive(t, s.repeated, "publications that came again")
	require.Positive(t, s.left, "subscriptions that were ended and begun again")
	require.Greater(t, s.mostRestored, mostText, "bytes that a client missed of one channel and has")
	require.Positive(t, s.restored, "publications that a client missed and has")
	require.Zero(t, s.unrecovered, "subscriptions that could not go on, though all is kept")
	require.Zero(t, s.lost, "publications that a client never had")
	require.Zero(t, s.duplicated, "publications that a client had twice")
	require.Zero(t, s.reordered, "publications that came after a later one")
	require.Zero(t, s.garbled, "publications that are not what was published")
	require.Empty(t, s.ended, "clients and subscriptions that were ended for good")
	require.Zero(t, gaps, "gaps that a gateway could not close")
	for _, g := range f {
		for _, word := range []string{"DATA RACE", "panic", "fatal error", "handler failed"} {
			require.NotContains(t, g.Log(), word)
		}
	}
}

// fleet is the gateways, all on one Redis.
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

// sum adds up a metric of all gateways, as far as they have lived since.
func (f fleet) sum(t *testing.T, name string) (sum float64) {
	t.Helper()
	for _, g := range f {
		m, err := g.Metrics(t.Context())
		require.NoError(t, err)
		sum += m[name]
	}
	return sum
}

// books are what all listeners have heard.
func books(all []*listener) (out []*book) {
	for _, l := range all {
		out = slices.AppendSeq(out, maps.Values(l.books))
	}
	return out
}

func channelName(i int) string {
	if large(i) {
		return fmt.Sprintf("large:%d", i)
	}
	return fmt.Sprintf("loss:%d", i)
}
