package brokertest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var directory = map[string]func(*testing.T, *Node, *Node){
	"Gateways lists a gateway until Withdraw or its TTL":      announced,
	"Send reaches the gateway, in order":                      sendReachesGateway,
	"Lookup returns the gateways that registered a user":      lookupFindsGateways,
	"Occupy and Vacate report the first and the last gateway": firstAndLastGateway,
	"Occupy, Vacate and Register take many names":             manyNames,
	"what is not renewed expires":                             notRenewed,
	"VacateExpired returns the channels of crashed gateways":  crashedGateways,
	"a gateway that renews late occupies its channels again":  lateRenewal,
	"VacateExpired keeps the channels of running gateways":    runningGateways,
	"Revoked returns the latest revocation":                   latestRevocation,
	"Revoke leaves other users alone":                         otherUsers,
}

// instances are those of both nodes, or of the one that there is.
func instances(a, b *Node) []string {
	return slices.Compact(slices.Sorted(slices.Values([]string{a.Instance, b.Instance})))
}

func announced(t *testing.T, a, b *Node) {
	require.NoError(t, b.Announce(t.Context(), []byte("of b"), long))
	require.NoError(t, a.Announce(t.Context(), []byte("first"), long))
	require.NoError(t, a.Announce(t.Context(), []byte{0, 255}, long))
	all, err := b.Gateways(t.Context())
	require.NoError(t, err)
	require.Len(t, all, len(instances(a, b)))
	require.Equal(t, []byte{0, 255}, all[a.Instance])

	require.NoError(t, a.Withdraw(t.Context()))
	require.NoError(t, a.Withdraw(t.Context()))
	all, err = b.Gateways(t.Context())
	require.NoError(t, err)
	require.NotContains(t, all, a.Instance)

	require.NoError(t, a.Announce(t.Context(), []byte("short"), short))
	eventually(t, "the announcement to be over", func() bool {
		all, err := b.Gateways(t.Context())
		require.NoError(t, err)
		_, there := all[a.Instance]
		return !there
	})
	require.NoError(t, b.Withdraw(t.Context()))
}

func sendReachesGateway(t *testing.T, a, b *Node) {
	for i := range 20 {
		reached, err := a.Send(t.Context(), b.Instance, []byte{byte(i), 0})
		require.NoError(t, err)
		require.True(t, reached)
	}
	for i := range 20 {
		select {
		case m := <-b.Messages:
			require.Equal(t, []byte{byte(i), 0}, m)
		case <-time.After(timeout):
			t.Fatal("no message was delivered")
		}
	}
	reached, err := a.Send(t.Context(), a.Instance, []byte("to itself"))
	require.NoError(t, err)
	require.True(t, reached)
	require.Equal(t, "to itself", string(<-a.Messages))
	reached, err = a.Send(t.Context(), "unknown", []byte("x"))
	require.NoError(t, err)
	require.False(t, reached)
}

func lookup(t testing.TB, n *Node, user string) []string {
	t.Helper()
	gateways, err := n.Lookup(t.Context(), user)
	require.NoError(t, err)
	slices.Sort(gateways)
	return gateways
}

func lookupFindsGateways(t *testing.T, a, b *Node) {
	require.NoError(t, a.Register(t.Context(), []string{"held 1", "held 2"}, long))
	require.NoError(t, b.Register(t.Context(), []string{"held 2"}, long))
	require.Equal(t, []string{a.Instance}, lookup(t, b, "held 1"))
	require.Equal(t, instances(a, b), lookup(t, a, "held 2"))
	require.Empty(t, lookup(t, a, "held 3"))
	require.NoError(t, a.Deregister(t.Context(), []string{"held 1", "held 2", "held 3"}))
	require.Empty(t, lookup(t, b, "held 1"))
	if a != b {
		require.Equal(t, []string{b.Instance}, lookup(t, b, "held 2"))
	}
	require.NoError(t, a.Register(t.Context(), nil, long))
	require.NoError(t, a.Deregister(t.Context(), nil))
}

func occupy(t testing.TB, n *Node, ttl time.Duration, channels ...string) []string {
	t.Helper()
	fresh, err := n.Occupy(t.Context(), channels, ttl)
	require.NoError(t, err)
	slices.Sort(fresh)
	return fresh
}

func vacate(t testing.TB, n *Node, channels ...string) []string {
	t.Helper()
	empty, err := n.Vacate(t.Context(), channels)
	require.NoError(t, err)
	slices.Sort(empty)
	return empty
}

func firstAndLastGateway(t *testing.T, a, b *Node) {
	require.Equal(t, []string{"o1", "o2"}, occupy(t, a, long, "o1", "o2"))
	require.Equal(t, []string{"o3"}, occupy(t, b, long, "o2", "o3"))
	require.Empty(t, occupy(t, a, long, "o1"), "its own occupation counts as well")
	if a != b {
		require.Equal(t, []string{"o1"}, vacate(t, a, "o1", "o2"))
		require.Empty(t, occupy(t, b, long, "o2"))
	}
	require.Equal(t, []string{"o2", "o3"}, vacate(t, b, "o2", "o3"))
	require.Equal(t, []string{"o2"}, vacate(t, b, "o2"), "a caller that tries again after an error gets it again")
	require.Equal(t, []string{"o2"}, occupy(t, b, long, "o2"))
	require.Empty(t, occupy(t, a, long))
	require.Empty(t, vacate(t, a))
}

func manyNames(t *testing.T, a, b *Node) {
	names := make([]string, 0, 1500)
	for i := range cap(names) {
		names = append(names, fmt.Sprint("many ", i))
	}
	slices.Sort(names)
	require.Equal(t, names, occupy(t, a, long, names...))
	require.Equal(t, names, vacate(t, a, names...))
	require.NoError(t, a.Register(t.Context(), names, long))
	for _, name := range []string{names[0], names[700], names[1499]} {
		require.Equal(t, []string{a.Instance}, lookup(t, b, name))
	}
	require.NoError(t, a.Deregister(t.Context(), names))
	require.Empty(t, lookup(t, b, names[1499]))
}

func notRenewed(t *testing.T, a, b *Node) {
	require.NoError(t, a.Register(t.Context(), []string{"expired"}, short))
	eventually(t, "the registration to expire", func() bool { return len(lookup(t, b, "expired")) == 0 })
	occupy(t, a, short, "expired")
	eventually(t, "the channel to expire", func() bool { return len(occupy(t, b, time.Millisecond, "expired")) == 1 })

	// A shorter time of one must not end the longer one of another.
	if a != b {
		require.NoError(t, a.Register(t.Context(), []string{"expired 2"}, long))
		require.NoError(t, b.Register(t.Context(), []string{"expired 2"}, short))
		eventually(t, "one registration to expire",
			func() bool { return slices.Equal(lookup(t, b, "expired 2"), []string{a.Instance}) })
	}
}

// watch is the TTL that gateways pass to VacateExpired: it returns nothing for half of it, unless a gateway has
// called it in the quarter before.
const watch = 2 * time.Second

// vacateExpired asks all nodes at the same time until they have nothing more, and returns what they said
// of channels with a prefix: others are of other tests.
func vacateExpired(t testing.TB, prefix string, nodes ...*Node) (vacated []string) {
	t.Helper()
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, n := range nodes {
		asking.Go(func() {
			for more := true; more; {
				some, err := n.VacateExpired(t.Context(), watch)
				mu.Lock()
				assert.NoError(t, err)
				vacated = append(vacated, some...)
				mu.Unlock()
				more = len(some) > 0
			}
		})
	}
	asking.Wait()
	vacated = slices.DeleteFunc(vacated, func(channel string) bool { return !strings.HasPrefix(channel, prefix) })
	slices.Sort(vacated)
	return vacated
}

// crashedGateways asks both nodes all the time: every channel is returned once, and not too early.
func crashedGateways(t *testing.T, a, b *Node) {
	if a == b {
		occupy(t, a, time.Millisecond, "crashed")
		eventually(t, "the channel to expire", func() bool { return len(occupy(t, a, time.Millisecond, "crashed")) == 1 })
		require.Empty(t, vacateExpired(t, "", a), "there are no other gateways that could have crashed")
		return
	}
	names := make([]string, 0, 1500)
	for i := range cap(names) {
		names = append(names, fmt.Sprint("crashed ", i))
	}
	slices.Sort(names)
	occupy(t, a, short, "crashed: shared", "crashed: said")
	occupy(t, a, short, names...)
	occupy(t, b, long, "crashed: shared")
	require.Equal(t, []string{"crashed: said"}, vacate(t, a, "crashed: said"))
	var vacated []string
	eventually(t, "the channels to be vacated", func() bool {
		vacated = append(vacated, vacateExpired(t, "crashed", a, b, a, b)...)
		return len(vacated) >= len(names)
	})
	slices.Sort(vacated)
	require.Equal(t, names, vacated)
	require.Equal(t, []string{"crashed: shared"}, vacate(t, b, "crashed: shared"), "only a crashed gateway has it besides")
	require.Empty(t, vacateExpired(t, "crashed", a, b))
}

func lateRenewal(t *testing.T, a, b *Node) {
	if a == b {
		return
	}
	require.Equal(t, []string{"slow 1", "slow 2"}, occupy(t, a, short, "slow 1", "slow 2"))
	eventually(t, "its TTL to be over", func() bool { return slices.Contains(vacateExpired(t, "slow", b), "slow 1") })
	require.Equal(t, []string{"slow 1"}, occupy(t, a, long, "slow 1"), "it renews")
	require.Equal(t, []string{"slow 2"}, vacate(t, a, "slow 2"), "a late Vacate may return a channel twice")
	require.Empty(t, occupy(t, b, short, "slow 1"))
	vacated := vacate(t, a, "slow 1")
	eventually(t, "the TTL of the other to be over", func() bool {
		vacated = append(vacated, vacateExpired(t, "slow", a)...)
		return slices.Equal([]string{"slow 1"}, vacated)
	})
}

func runningGateways(t *testing.T, a, b *Node) {
	occupy(t, a, short, "kept 1", "kept 2", "kept 3")
	occupy(t, a, long, "kept 1")
	occupy(t, b, long, "kept 2")
	if a != b {
		occupy(t, b, short, "kept 1")
		eventually(t, "the channel that was not renewed to expire",
			func() bool { return slices.Equal([]string{"kept 3"}, vacateExpired(t, "kept", a, b)) })
	}
	require.Empty(t, occupy(t, b, long, "kept 1", "kept 2"))
}

func revokedAt(t testing.TB, n *Node, user string) time.Time {
	t.Helper()
	until, err := n.Revoked(t.Context(), user)
	require.NoError(t, err)
	return until
}

func latestRevocation(t *testing.T, a, b *Node) {
	require.True(t, revokedAt(t, a, "revoked").IsZero())
	first := time.Now().Truncate(time.Microsecond)
	for _, c := range []struct{ revoke, want time.Time }{
		{first, first},
		{first.Add(-time.Hour), first},
		{first.Add(time.Microsecond), first.Add(time.Microsecond)},
		{time.Time{}, first.Add(time.Microsecond)},
		{first.Add(1000 * time.Hour), first.Add(1000 * time.Hour)},
	} {
		require.NoError(t, a.Revoke(t.Context(), "revoked", c.revoke))
		require.True(t, c.want.Equal(revokedAt(t, b, "revoked")), "%v", c)
	}
}

func otherUsers(t *testing.T, a, b *Node) {
	require.NoError(t, a.Revoke(t.Context(), "revoked alone", time.Now()))
	require.True(t, revokedAt(t, b, "revoked alone 2").IsZero())
	require.True(t, revokedAt(t, b, "never").IsZero())
	require.NoError(t, a.Revoke(t.Context(), "never", time.Time{}))
	require.True(t, revokedAt(t, b, "never").IsZero())
}
