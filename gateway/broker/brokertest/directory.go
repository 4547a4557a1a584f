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
	"gateways are known while they say so":     announced,
	"a gateway hears what it is told":          told,
	"users are where they are held":            held,
	"channels are occupied and vacated":        occupied,
	"many names are taken in one call":         manyNames,
	"what nobody renews is over":               lapsed,
	"gateways that are gone leave no channels": forsaken,
	"who was only slow occupies again":         slow,
	"who is there keeps its channels":          stays,
	"a later revocation wins":                  revoked,
	"a revocation does not touch other users":  revokedAlone,
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

func told(t *testing.T, a, b *Node) {
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
			t.Fatal("nothing was heard")
		}
	}
	reached, err := a.Send(t.Context(), a.Instance, []byte("to itself"))
	require.NoError(t, err)
	require.True(t, reached)
	require.Equal(t, "to itself", string(<-a.Messages))
	reached, err = a.Send(t.Context(), "nobody", []byte("x"))
	require.NoError(t, err)
	require.False(t, reached)
}

func lookup(t testing.TB, n *Node, user string) []string {
	t.Helper()
	who, err := n.Lookup(t.Context(), user)
	require.NoError(t, err)
	slices.Sort(who)
	return who
}

func held(t *testing.T, a, b *Node) {
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

func occupied(t *testing.T, a, b *Node) {
	require.Equal(t, []string{"o1", "o2"}, occupy(t, a, long, "o1", "o2"))
	require.Equal(t, []string{"o3"}, occupy(t, b, long, "o2", "o3"))
	require.Empty(t, occupy(t, a, long, "o1"), "its own count as well")
	if a != b {
		require.Equal(t, []string{"o1"}, vacate(t, a, "o1", "o2"))
		require.Empty(t, occupy(t, b, long, "o2"))
	}
	require.Equal(t, []string{"o2", "o3"}, vacate(t, b, "o2", "o3"))
	require.Equal(t, []string{"o2"}, vacate(t, b, "o2"), "who tries again after an error hears it again")
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

func lapsed(t *testing.T, a, b *Node) {
	require.NoError(t, a.Register(t.Context(), []string{"lapsed"}, short))
	eventually(t, "the hold to be over", func() bool { return len(lookup(t, b, "lapsed")) == 0 })
	occupy(t, a, short, "lapsed")
	eventually(t, "the channel to be free", func() bool { return len(occupy(t, b, time.Millisecond, "lapsed")) == 1 })

	// A shorter time of one must not end the longer one of another.
	if a != b {
		require.NoError(t, a.Register(t.Context(), []string{"lapsed 2"}, long))
		require.NoError(t, b.Register(t.Context(), []string{"lapsed 2"}, short))
		eventually(t, "one hold to be over",
			func() bool { return slices.Equal(lookup(t, b, "lapsed 2"), []string{a.Instance}) })
	}
}

// watch is the TTL that gateways pass to VacateExpired: it returns nothing for half of it, unless a gateway has
// called it in the quarter before.
const watch = 2 * time.Second

// vacateLapsed asks all nodes at the same time until they have nothing more, and returns what they said
// of channels with a prefix: others are of other tests.
func vacateLapsed(t testing.TB, prefix string, nodes ...*Node) (vacated []string) {
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

// forsaken asks both nodes all the time: every channel is returned once, and not too early.
func forsaken(t *testing.T, a, b *Node) {
	if a == b {
		occupy(t, a, time.Millisecond, "forsaken")
		eventually(t, "the channel to be free", func() bool { return len(occupy(t, a, time.Millisecond, "forsaken")) == 1 })
		require.Empty(t, vacateLapsed(t, "", a), "there are no others that could be gone")
		return
	}
	names := make([]string, 0, 1500)
	for i := range cap(names) {
		names = append(names, fmt.Sprint("forsaken ", i))
	}
	slices.Sort(names)
	occupy(t, a, short, "forsaken: shared", "forsaken: said")
	occupy(t, a, short, names...)
	occupy(t, b, long, "forsaken: shared")
	require.Equal(t, []string{"forsaken: said"}, vacate(t, a, "forsaken: said"))
	var vacated []string
	eventually(t, "the channels to be vacated", func() bool {
		vacated = append(vacated, vacateLapsed(t, "forsaken", a, b, a, b)...)
		return len(vacated) >= len(names)
	})
	slices.Sort(vacated)
	require.Equal(t, names, vacated)
	require.Equal(t, []string{"forsaken: shared"}, vacate(t, b, "forsaken: shared"), "nobody has it but who is gone")
	require.Empty(t, vacateLapsed(t, "forsaken", a, b))
}

func slow(t *testing.T, a, b *Node) {
	if a == b {
		return
	}
	require.Equal(t, []string{"slow 1", "slow 2"}, occupy(t, a, short, "slow 1", "slow 2"))
	eventually(t, "its time to be over", func() bool { return slices.Contains(vacateLapsed(t, "slow", b), "slow 1") })
	require.Equal(t, []string{"slow 1"}, occupy(t, a, long, "slow 1"), "it renews")
	require.Equal(t, []string{"slow 2"}, vacate(t, a, "slow 2"), "who says goodbye late may be heard twice")
	require.Empty(t, occupy(t, b, short, "slow 1"))
	vacated := vacate(t, a, "slow 1")
	eventually(t, "the other's time to be over", func() bool {
		vacated = append(vacated, vacateLapsed(t, "slow", a)...)
		return slices.Equal([]string{"slow 1"}, vacated)
	})
}

func stays(t *testing.T, a, b *Node) {
	occupy(t, a, short, "kept 1", "kept 2", "kept 3")
	occupy(t, a, long, "kept 1")
	occupy(t, b, long, "kept 2")
	if a != b {
		occupy(t, b, short, "kept 1")
		eventually(t, "what was not kept to be over",
			func() bool { return slices.Equal([]string{"kept 3"}, vacateLapsed(t, "kept", a, b)) })
	}
	require.Empty(t, occupy(t, b, long, "kept 1", "kept 2"))
}

func revokedAt(t testing.TB, n *Node, user string) time.Time {
	t.Helper()
	until, err := n.Revoked(t.Context(), user)
	require.NoError(t, err)
	return until
}

func revoked(t *testing.T, a, b *Node) {
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

func revokedAlone(t *testing.T, a, b *Node) {
	require.NoError(t, a.Revoke(t.Context(), "revoked alone", time.Now()))
	require.True(t, revokedAt(t, b, "revoked alone 2").IsZero())
	require.True(t, revokedAt(t, b, "never").IsZero())
	require.NoError(t, a.Revoke(t.Context(), "never", time.Time{}))
	require.True(t, revokedAt(t, b, "never").IsZero())
}
