package brokertest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

var presence = map[string]func(*testing.T, *Node, *Node){
	"Join and Leave change the members":                           members,
	"Join of a member replaces its info":                          rejoined,
	"PresenceStats counts a user once":                            distinctUsers,
	"Leave with a grace keeps the member for the grace":           grace,
	"Join within the grace replaces one connection of the user":   userReturns,
	"Join within the grace replaces the same client":              clientReturns,
	"users with similar names are different users":                similarUsers,
	"Sweep returns an expired member to one caller":               sweptOnce,
	"expired members are not returned":                            expiredMembers,
	"Renew and Join restore an expired member that was not swept": restoredMembers,
	"Renew keeps members and returns the missing ones":            renewed,
	"Renew does not keep a member in its grace":                   graceNotRenewed,
	"Sweep returns a bounded number of members":                   boundedSweep,
	"Members returns ErrTooLarge above its limit":                 boundedMembers,
}

const (
	long  = time.Minute
	short = 50 * time.Millisecond
)

func client(id, user string) broker.ClientInfo { return broker.ClientInfo{Client: id, User: user} }

func join(t testing.TB, n *Node, channel string, m broker.ClientInfo, ttl time.Duration) broker.Joined {
	t.Helper()
	joined, err := n.Join(t.Context(), channel, m, ttl)
	require.NoError(t, err)
	return joined
}

func leave(t testing.TB, n *Node, channel string, m broker.ClientInfo, grace time.Duration) (left bool) {
	t.Helper()
	left, gone, err := n.Leave(t.Context(), channel, m, grace)
	require.NoError(t, err)
	require.Empty(t, gone)
	return left
}

// present are the clients that are members, and checks what is counted against them.
func present(t testing.TB, n *Node, channel string) []string {
	t.Helper()
	all, err := n.Members(t.Context(), channel, 0)
	require.NoError(t, err)
	ids, users := make([]string, 0, len(all)), map[string]bool{}
	for id, m := range all {
		require.Equal(t, id, m.Client)
		ids, users[m.User] = append(ids, id), true
	}
	slices.Sort(ids)
	clients, distinct, err := n.PresenceStats(t.Context(), channel)
	require.NoError(t, err)
	require.Equal(t, []int{len(ids), len(users)}, []int{clients, distinct})
	return ids
}

// awaitExpiry waits until a member is not returned any more.
func awaitExpiry(t testing.TB, n *Node, channel, id string) {
	t.Helper()
	eventually(t, id+" to expire", func() bool {
		all, err := n.Members(t.Context(), channel, 0)
		require.NoError(t, err)
		_, there := all[id]
		return !there
	})
}

func sweep(t testing.TB, n *Node, channel string) (gone []string) {
	t.Helper()
	all, err := n.Sweep(t.Context(), channel)
	require.NoError(t, err)
	for _, m := range all {
		gone = append(gone, m.Client)
	}
	slices.Sort(gone)
	return gone
}

func members(t *testing.T, a, b *Node) {
	const room = "members"
	require.Empty(t, present(t, a, room))
	full := broker.ClientInfo{Client: "1", User: "u", ConnInfo: []byte(`{"a":1}`), ChanInfo: []byte(`"b"`)}
	require.Equal(t, broker.JoinAdded, join(t, a, room, full, long))
	require.Equal(t, broker.JoinAdded, join(t, b, room, client("2", ""), long))
	require.Equal(t, broker.JoinRenewed, join(t, a, room, full, long))
	require.Equal(t, []string{"1", "2"}, present(t, b, room))
	all, err := b.Members(t.Context(), room, 0)
	require.NoError(t, err)
	require.Equal(t, full, all["1"])

	require.False(t, leave(t, b, room, client("unknown", "u"), 0))
	require.False(t, leave(t, b, room, client("unknown", "u"), long))
	require.True(t, leave(t, b, room, client("2", ""), 0))
	require.False(t, leave(t, b, room, client("2", ""), 0))
	require.Equal(t, []string{"1"}, present(t, a, room))
	require.True(t, leave(t, a, room, full, 0))
	require.Empty(t, present(t, a, room))
	require.Equal(t, broker.JoinAdded, join(t, a, room, full, long), "it was not a member any more")
}

func rejoined(t *testing.T, a, b *Node) {
	const room = "rejoined"
	join(t, a, room, client("1", "u"), long)
	now := broker.ClientInfo{Client: "1", User: "v", ConnInfo: []byte("{}")}
	require.Equal(t, broker.JoinRenewed, join(t, a, room, now, long))
	all, err := b.Members(t.Context(), room, 0)
	require.NoError(t, err)
	require.Equal(t, map[string]broker.ClientInfo{"1": now}, all)
	require.Equal(t, []string{"1"}, present(t, b, room))
	require.True(t, leave(t, a, room, now, 0))
	require.Empty(t, present(t, b, room))
}

func distinctUsers(t *testing.T, a, b *Node) {
	const room = "users"
	for i, user := range []string{"u", "u", "v", "", ""} {
		join(t, []*Node{a, b}[i%2], room, client(fmt.Sprint(i), user), long)
	}
	clients, users, err := a.PresenceStats(t.Context(), room)
	require.NoError(t, err)
	require.Equal(t, []int{5, 3}, []int{clients, users})
	leave(t, a, room, client("0", "u"), 0)
	leave(t, a, room, client("3", ""), 0)
	require.Equal(t, []string{"1", "2", "4"}, present(t, b, room))
	leave(t, a, room, client("1", "u"), 0)
	leave(t, a, room, client("4", ""), 0)
	require.Equal(t, []string{"2"}, present(t, b, room))
}

func grace(t *testing.T, a, b *Node) {
	const room = "grace"
	join(t, a, room, client("1", "u"), long)
	join(t, a, room, client("2", ""), long)
	require.True(t, leave(t, a, room, client("2", ""), long), "only a user can come back")
	require.False(t, leave(t, a, room, client("1", "u"), 2*time.Second))
	require.Equal(t, []string{"1"}, present(t, b, room))
	require.Empty(t, sweep(t, b, room))
	awaitExpiry(t, b, room, "1")
	require.Equal(t, broker.JoinReplaced, join(t, a, room, client("late", "u"), long), "its leave comes before the join")
	require.Equal(t, []string{"1"}, sweep(t, b, room))
	require.Empty(t, sweep(t, a, room))
	require.True(t, leave(t, a, room, client("late", "u"), 0))
	require.Equal(t, broker.JoinAdded, join(t, a, room, client("3", "u"), long), "the grace was over")

	require.False(t, leave(t, a, room, client("3", "u"), long))
	require.True(t, leave(t, a, room, client("3", "u"), 0), "it need not be waited for any more")
	require.Empty(t, present(t, b, room))
}

func userReturns(t *testing.T, a, b *Node) {
	const room = "comes back"
	for _, id := range []string{"1", "2", "3"} {
		join(t, a, room, client(id, "u"), long)
	}
	leave(t, a, room, client("1", "u"), long)
	leave(t, a, room, client("2", "u"), long)
	require.Equal(t, broker.JoinAdded, join(t, b, room, client("other", "v"), long))
	require.Equal(t, broker.JoinRenewed, join(t, b, room, client("3", "u"), long), "it was there all the time")
	require.Equal(t, []string{"1", "2", "3", "other"}, present(t, a, room))

	require.Equal(t, broker.JoinReplaced, join(t, b, room, client("4", "u"), long))
	require.Len(t, present(t, a, room), 4, "one of the two that were away")
	require.Equal(t, broker.JoinReplaced, join(t, b, room, client("5", "u"), long))
	require.Equal(t, []string{"3", "4", "5", "other"}, present(t, a, room))
	require.Equal(t, broker.JoinReplaced, join(t, a, room, client("6", "u"), long), "no leave has been published yet")
	require.Equal(t, []string{"1", "2"}, sweep(t, a, room))
	require.Equal(t, broker.JoinAdded, join(t, b, room, client("7", "u"), long), "no connection was in its grace any more")
	require.Equal(t, broker.JoinAdded, join(t, b, room, client("8", ""), long), "it is of no user")
	require.Equal(t, []string{"3", "4", "5", "6", "7", "8", "other"}, present(t, a, room))
}

func clientReturns(t *testing.T, a, b *Node) {
	const room = "same client"
	join(t, a, room, client("1", "u"), long)
	join(t, a, room, client("2", "u"), long)
	leave(t, a, room, client("1", "u"), long)
	leave(t, a, room, client("2", "u"), long)
	require.Equal(t, broker.JoinRenewed, join(t, b, room, client("2", "u"), long))
	require.Equal(t, []string{"1", "2"}, present(t, a, room))
	missing, _, err := a.Renew(t.Context(), room, []string{"1", "2"}, long)
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, missing, "only the other is still away")
}

func similarUsers(t *testing.T, a, b *Node) {
	const room = "similar"
	users := []string{"u", "u:", "u:1", "u:1:", "1", "1:u", "\x00", "\xff", "u\xff"}
	for i, user := range users {
		id := fmt.Sprintf("%d:\xff\x00", i)
		join(t, a, room, client(id, user), long)
		leave(t, a, room, client(id, user), long)
		require.Equal(t, broker.JoinAdded, join(t, b, room, client("x"+id, user+"x"), long), "%q is another user", user+"x")
	}
	for i, user := range users {
		require.Equal(t, broker.JoinReplaced, join(t, b, room, client(fmt.Sprint("new", i), user), long), "%q", user)
		require.Len(t, sweep(t, a, room), 1)
		require.Equal(t, broker.JoinAdded, join(t, b, room, client(fmt.Sprint("newer", i), user), long), "%q", user)
	}
	require.Len(t, present(t, a, room), 3*len(users))
}

func sweptOnce(t *testing.T, a, b *Node) {
	const room, count = "gone once", 50
	for i := range count {
		join(t, a, room, client(fmt.Sprint(i), fmt.Sprint("u", i%7)), 2*time.Second)
	}
	for i := range count {
		awaitExpiry(t, b, room, fmt.Sprint(i))
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for i := range 8 {
		n := []*Node{a, b}[i%2]
		wg.Go(func() {
			gone, err := n.Sweep(t.Context(), room)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, m := range gone {
				seen[m.Client]++
			}
		})
	}
	wg.Wait()
	require.Len(t, seen, count)
	for id, times := range seen {
		require.Equal(t, 1, times, id)
	}
}

func expiredMembers(t *testing.T, a, b *Node) {
	const room = "unseen"
	whole := broker.ClientInfo{Client: "2", User: "v", ConnInfo: []byte("{}")}
	join(t, a, room, client("1", "u"), long)
	join(t, a, room, client("3", "u"), long)
	join(t, a, room, whole, short)
	awaitExpiry(t, b, room, "2")
	require.Equal(t, []string{"1", "3"}, present(t, b, room))
	left, gone, err := b.Leave(t.Context(), room, client("3", "u"), 0)
	require.NoError(t, err)
	require.True(t, left)
	require.Equal(t, []broker.ClientInfo{whole}, gone, "it returns the members that have expired")
	join(t, a, room, whole, short)
	awaitExpiry(t, b, room, "2")
	require.Equal(t, broker.JoinAdded, join(t, b, room, client("4", "v"), long), "no leave has made it wait")
	missing, gone, err := b.Renew(t.Context(), room, []string{"1"}, long)
	require.NoError(t, err)
	require.Empty(t, missing)
	require.Equal(t, []broker.ClientInfo{whole}, gone)
}

// A gateway that was away for a while must not make its clients leave and join.
func restoredMembers(t *testing.T, a, b *Node) {
	const room = "unmissed"
	require.Equal(t, broker.JoinAdded, join(t, a, room, client("1", "u"), short))
	require.Equal(t, broker.JoinAdded, join(t, a, room, client("2", "u"), short))
	awaitExpiry(t, b, room, "1")
	awaitExpiry(t, b, room, "2")
	missing, gone, err := a.Renew(t.Context(), room, []string{"1", "2"}, long)
	require.NoError(t, err)
	require.Empty(t, missing)
	require.Empty(t, gone)
	require.Equal(t, []string{"1", "2"}, present(t, b, room))

	require.Equal(t, broker.JoinAdded, join(t, a, room, client("3", "w"), short))
	awaitExpiry(t, b, room, "3")
	require.Equal(t, broker.JoinRenewed, join(t, a, room, client("3", "w"), long), "no leave has been published")
	require.Empty(t, sweep(t, b, room))
}

func renewed(t *testing.T, a, b *Node) {
	const room, count = "renewed", 700
	ids := make([]string, 0, count)
	for i := range count {
		ids = append(ids, fmt.Sprint(i))
	}
	var wg sync.WaitGroup
	for part := range slices.Chunk(ids, count/20) {
		wg.Go(func() {
			for _, id := range part {
				if _, err := a.Join(t.Context(), room, client(id, "u"), long); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	asked := append([]string{"missing"}, append(ids, "also missing")...)
	missing, gone, err := a.Renew(t.Context(), room, asked, long)
	require.NoError(t, err)
	require.Equal(t, []string{"missing", "also missing"}, missing)
	require.Empty(t, gone)
	_, _, err = a.Renew(t.Context(), room, ids[:1], short)
	require.NoError(t, err)
	awaitExpiry(t, b, room, ids[0])
	missing, gone, err = a.Renew(t.Context(), room, nil, short)
	require.NoError(t, err)
	require.Empty(t, missing)
	require.Equal(t, []broker.ClientInfo{client(ids[0], "u")}, gone, "Renew without clients sweeps")
}

func graceNotRenewed(t *testing.T, a, b *Node) {
	const room = "away"
	join(t, a, room, client("1", "u"), long)
	require.False(t, leave(t, a, room, client("1", "u"), short))
	missing, _, err := a.Renew(t.Context(), room, []string{"1"}, long)
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, missing)
	eventually(t, "the grace to be over", func() bool { return slices.Equal(sweep(t, b, room), []string{"1"}) })
}

func boundedSweep(t *testing.T, a, b *Node) {
	const room, count = "bounded", 600
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for k := range count / 20 {
				if _, err := a.Join(t.Context(), room, client(fmt.Sprint(i, k), "u"), long); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	all, err := a.Members(t.Context(), room, 0)
	require.NoError(t, err)
	for id := range all {
		leave(t, a, room, client(id, "u"), 3*time.Second)
	}
	eventually(t, "all graces to be over", func() bool {
		all, err := b.Members(t.Context(), room, 0)
		require.NoError(t, err)
		return len(all) == 0
	})
	first := sweep(t, a, room)
	require.Less(t, len(first), count)
	require.Len(t, append(first, sweep(t, b, room)...), count)
	require.Empty(t, sweep(t, b, room))
	require.Empty(t, present(t, b, room))
}

func boundedMembers(t *testing.T, a, b *Node) {
	for what, c := range map[string]struct{ count, info int }{
		"few":        {2, 10},
		"large":      {3, 5_000},
		"many":       {1_200, 100},
		"many small": {1_200, 0},
	} {
		room, size := "bounded "+what, 0
		var wg sync.WaitGroup
		chunk := (c.count + 19) / 20
		for from := 0; from < c.count; from += chunk {
			mine := make([]broker.ClientInfo, 0, chunk)
			for i := from; i < min(from+chunk, c.count); i++ {
				m := broker.ClientInfo{Client: fmt.Sprint("client ", i), User: "u", ConnInfo: make([]byte, c.info)}
				mine, size = append(mine, m), size+broker.SizeOfMember(m)
			}
			wg.Go(func() {
				for _, m := range mine {
					if _, err := a.Join(t.Context(), room, m, long); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		for _, bytes := range []int{0, 2 * size, size + size/4} {
			all, err := b.Members(t.Context(), room, bytes)
			require.NoError(t, err, "%s: %d", what, bytes)
			require.Len(t, all, c.count, what)
		}
		for _, bytes := range []int{1, size / 100, size / 2, size - 1} {
			all, err := b.Members(t.Context(), room, max(bytes, 1))
			require.ErrorIs(t, err, broker.ErrTooLarge, "%s: %d", what, bytes)
			require.Empty(t, all, what)
		}
	}

	all, err := a.Members(t.Context(), "bounded empty", 1)
	require.NoError(t, err)
	require.Empty(t, all)
	join(t, a, "bounded late", client("here", "u"), long)
	join(t, a, "bounded late", broker.ClientInfo{Client: "late", ConnInfo: make([]byte, 1_000)}, short)
	// An expired member takes no room.
	eventually(t, "room", func() bool {
		all, err := b.Members(t.Context(), "bounded late", 500)
		return err == nil && len(all) == 1
	})
}
