package gateway

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/contract"
)

func TestConnectionsAreSorted(t *testing.T) {
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	all := []listedConnection{
		{protocol: "a", user: "u2", ip: netip.MustParseAddr("192.0.2.10"), openedAt: at(3), queued: 0},
		{protocol: "b", user: "u1", ip: netip.MustParseAddr("192.0.2.9"), openedAt: at(2), queued: 7},
		{protocol: "c", user: "u1", ip: netip.MustParseAddr("2001:db8::1"), openedAt: at(1), queued: 7},
		{protocol: "d", user: "", ip: netip.MustParseAddr("192.0.2.9"), openedAt: at(4), queued: 9},
	}
	for order, want := range map[string]string{
		contract.SortAge:    "cbad",
		contract.SortUser:   "dcba",
		contract.SortIP:     "bdac",
		contract.SortQueued: "dcba",
	} {
		sorted := slices.SortedFunc(slices.Values(all), func(a, b listedConnection) int { return a.compare(b, order) })
		var got strings.Builder
		for _, one := range sorted {
			got.WriteString(one.protocol)
		}
		require.Equal(t, want, got.String(), order)
	}
}
