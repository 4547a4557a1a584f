package transport

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Clients that take as many calls as they may, and whose calls do not end, leave places to others: half of all to 32 of
// them, and one each to thousands.
func TestMaxCallsLeavesPlacesToOthers(t *testing.T) {
	require.Equal(t, maxConnCalls, maxCalls(0))
	require.Equal(t, 1, maxCalls(maxServerCalls))
	for greedy, leaves := range map[int]int64{1: 4000, 32: 2048, 64: 1300, 1000: 90, 3000: 30} {
		running := int64(0)
		for range maxConnCalls {
			for client := range greedy {
				held := running/int64(greedy) + min(1, max(0, running%int64(greedy)-int64(client)))
				if held < int64(maxCalls(running)) && running < maxServerCalls {
					running++
				}
			}
		}
		require.GreaterOrEqual(t, maxServerCalls-running, leaves, "%d clients", greedy)
		require.GreaterOrEqual(t, running, min(int64(greedy), maxServerCalls), "each has one")
	}
}
