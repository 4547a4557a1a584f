package redis

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/contract"
)

// Links come and go at once; what is reported in the end is what they are in the end.
func TestStateFollowsItsLinks(t *testing.T) {
	b := New(Options{
		Mode: contract.RedisCluster, Addresses: []string{"127.0.0.1:1"},
		Deliver: func(string, broker.Publication) {}, Logger: slog.New(slog.DiscardHandler),
	})
	defer func() { require.NoError(t, b.client.Close()) }()
	for round := range 2000 {
		up := round%2 == 0
		var wg sync.WaitGroup
		for _, l := range b.links {
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
