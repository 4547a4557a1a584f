package memory_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
)

// Two subscribers must see concurrent publications to their channel in one order.
func TestDeliveriesOfAChannelDoNotOverlap(t *testing.T) {
	var inside sync.Mutex
	delivered := 0
	b := memory.New(func(string, broker.Publication) {
		require.True(t, inside.TryLock(), "another delivery to this channel is under way")
		delivered++
		inside.Unlock()
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				_ = b.Publish(t.Context(), "lobby", broker.Publication{})
			}
		})
	}
	wg.Wait()
	require.Equal(t, 8000, delivered)
}
