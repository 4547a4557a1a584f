package registry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// timeout is the Options.Timeout of all registries.
const timeout = 5 * time.Second

// fakeDirectory is a memory broker that can be made to fail.
type fakeDirectory struct {
	*memory.Broker

	// mu guards down.
	mu   sync.Mutex
	down bool
}

func (d *fakeDirectory) setDown(down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = down
}

// Register implements broker.Directory.
func (d *fakeDirectory) Register(ctx context.Context, users []string, ttl time.Duration) error {
	d.mu.Lock()
	down := d.down
	d.mu.Unlock()
	if down {
		return broker.ErrUnavailable
	}
	return d.Broker.Register(ctx, users, ttl)
}

// harness is a running registry whose connections have short names.
type harness struct {
	*registry.Registry[string]
	t         *testing.T
	directory *fakeDirectory
	// pinned are the connections that may not be replaced.
	pinned map[string]bool
	// mu guards replaced.
	mu sync.Mutex
	// replaced are the connections that made room, in their order.
	replaced []string
	// ids are the ids of the connections by their short names.
	ids map[string]uuid.UUID
}

// test calls do with a running registry in a synctest bubble. Connections above maxPerUser are refused.
func test(t *testing.T, maxPerUser int, do func(t *testing.T, r *harness)) {
	t.Helper()
	testWith(t, func(*harness) registry.Options[string] { return registry.Options[string]{MaxPerUser: maxPerUser} }, do)
}

// testReplacing is test with a registry that replaces the oldest connection, unless it is pinned.
func testReplacing(t *testing.T, maxPerUser int, do func(t *testing.T, r *harness)) {
	t.Helper()
	testWith(t, func(r *harness) registry.Options[string] {
		return registry.Options[string]{
			MaxPerUser: maxPerUser,
			Replace: func(oldest string) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.replaced = append(r.replaced, oldest)
			},
			Replaceable: func(oldest string) bool { return !r.pinned[oldest] },
		}
	}, do)
}

// testWith is test with options, to which it adds the directory, the timeout and the logger.
func testWith(t *testing.T, options func(r *harness) registry.Options[string], do func(t *testing.T, r *harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &harness{
			t:         t,
			directory: &fakeDirectory{Broker: memory.New(memory.Options{Instance: "here"})},
			ids:       map[string]uuid.UUID{},
			pinned:    map[string]bool{},
		}
		o := options(r)
		o.Directory, o.Timeout, o.Logger = r.directory, timeout, slog.New(slog.DiscardHandler)
		r.Registry = registry.New(o)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		do(t, r)
		cancel()
		require.NoError(t, <-ended)
	})
}

func (r *harness) id(name string) uuid.UUID {
	if _, known := r.ids[name]; !known {
		r.ids[name] = uuid.New()
	}
	return r.ids[name]
}

func (r *harness) add(name, user string) error {
	return r.Add(r.t.Context(), r.id(name), user, name)
}

// state describes the registry: the numbers of clients and users, all clients, the clients of ann, and the gateways
// that the directory has for ann.
func (r *harness) state() string {
	r.t.Helper()
	synctest.Wait()
	holders, err := r.directory.Lookup(r.t.Context(), "ann")
	require.NoError(r.t, err)
	clients, users := r.Count()
	sorted := func(list []string) string { return strings.Join(slices.Sorted(slices.Values(list)), ",") }
	return fmt.Sprintf("%d/%d all=%s ann=%s registered=%s", clients, users, sorted(r.All()), sorted(r.ByUser("ann")),
		strings.Join(holders, ","))
}

func TestRegistryTracksClientsAndUsers(t *testing.T) {
	for name, c := range map[string]struct{ steps, state string }{
		"empty":                       {"", "0/0 all= ann= registered="},
		"without a user":              {"add a", "1/0 all=a ann= registered="},
		"with a user":                 {"add a ann", "1/1 all=a ann=a registered=here"},
		"three connections of a user": {"add a ann; add b ann; add c ann", "3/1 all=a,b,c ann=a,b,c registered=here"},
		"of two users":                {"add a ann; add b bob", "2/2 all=a,b ann=a registered=here"},
		"the first of three leaves":   {"add a ann; add b ann; add c ann; remove a", "2/1 all=b,c ann=b,c registered=here"},
		"the second of three leaves":  {"add a ann; add b ann; add c ann; remove b", "2/1 all=a,c ann=a,c registered=here"},
		"the third of three leaves":   {"add a ann; add b ann; add c ann; remove c", "2/1 all=a,b ann=a,b registered=here"},
		"all leave, in some order": {"add a ann; add b ann; add c ann; remove b; remove c; remove a; wait 6s",
			"0/0 all= ann= registered="},
		"a user left 4s ago": {"add a ann; remove a; wait 4s", "0/0 all= ann= registered=here"},
		"a user left 6s ago": {"add a ann; remove a; wait 6s", "0/0 all= ann= registered="},
		"a user reloads":     {"add a ann; remove a; wait 4s; add b ann; wait 10s", "1/1 all=b ann=b registered=here"},
		"a user reloads and leaves": {"add a ann; remove a; wait 4s; add b ann; remove b; wait 4s",
			"0/0 all= ann= registered=here"},
		"a user is back after 6s": {"add a ann; remove a; wait 6s; add b ann", "1/1 all=b ann=b registered=here"},
		"removed twice":           {"add a ann; add b ann; remove a; remove a", "1/1 all=b ann=b registered=here"},
		"removed and never there": {"remove a", "0/0 all= ann= registered="},
		"removed without a user":  {"add a; remove a", "0/0 all= ann= registered="},
		"after ten minutes":       {"add a ann; wait 10m", "1/1 all=a ann=a registered=here"},
	} {
		t.Run(name, func(t *testing.T) {
			test(t, 0, func(t *testing.T, r *harness) {
				for step := range strings.SplitSeq(c.steps, "; ") {
					words := append(strings.Fields(step), "", "", "")
					switch words[0] {
					case "add":
						require.NoError(t, r.add(words[1], words[2]))
					case "remove":
						r.Remove(r.id(words[1]))
					case "wait":
						d, err := time.ParseDuration(words[1])
						require.NoError(t, err)
						time.Sleep(d)
					}
				}
				require.Equal(t, c.state, r.state())
			})
		})
	}
}

func TestAddBoundsConnectionsPerUser(t *testing.T) {
	test(t, 2, func(t *testing.T, r *harness) {
		require.NoError(t, r.add("a", "ann"))
		require.NoError(t, r.add("b", "ann"))
		require.ErrorIs(t, r.add("c", "ann"), registry.ErrTooManyConnections)
		_, here := r.Client(r.id("c"))
		require.False(t, here)
		require.NoError(t, r.add("d", "bob"))
		for i := range 10 {
			require.NoError(t, r.add(fmt.Sprint(i), ""), "clients without a user are not counted")
		}
		r.Remove(r.id("c"))
		require.ErrorIs(t, r.add("c", "ann"), registry.ErrTooManyConnections, "removing a refused connection frees nothing")
		r.Remove(r.id("a"))
		require.NoError(t, r.add("c", "ann"))
		c, here := r.Client(r.id("c"))
		require.True(t, here)
		require.Equal(t, "c", c)
	})
}

func TestAddReplacesTheOldestConnection(t *testing.T) {
	for name, c := range map[string]struct {
		limit    int
		steps    string
		refused  string
		replaced string
		left     string
	}{
		"below the limit":          {2, "add a ann; add b ann", "", "", "a,b"},
		"one above it":             {2, "add a ann; add b ann; add c ann", "", "a", "b,c"},
		"two above it":             {2, "add a ann; add b ann; add c ann; add d ann", "", "a,b", "c,d"},
		"the limit is one":         {1, "add a ann; add b ann; add c ann", "", "a,b", "c"},
		"no limit":                 {0, "add a ann; add b ann; add c ann", "", "", "a,b,c"},
		"other users do not count": {1, "add a ann; add b bob; add c", "", "", "a"},
		"the oldest has left":      {2, "add a ann; add b ann; remove a; add c ann; add d ann", "", "b", "c,d"},
		"the middle has left": {3, "add a ann; add b ann; add c ann; remove b; add d ann; add e ann", "",
			"a", "c,d,e"},
		"all have left":              {1, "add a ann; remove a; add b ann; add c ann", "", "b", "c"},
		"the replaced one leaves":    {1, "add a ann; add b ann; remove a; add c ann", "", "a,b", "c"},
		"the oldest is pinned":       {2, "pin a; add a ann; add b ann; add c ann", "c", "", "a,b"},
		"the pinned one has left":    {2, "pin a; add a ann; add b ann; remove a; add c ann; add d ann", "", "b", "c,d"},
		"one that is not the oldest": {2, "pin b; add a ann; add b ann; add c ann", "", "a", "b,c"},
	} {
		t.Run(name, func(t *testing.T) {
			testReplacing(t, c.limit, func(t *testing.T, r *harness) {
				var refused []string
				for step := range strings.SplitSeq(c.steps, "; ") {
					words := append(strings.Fields(step), "", "")
					switch words[0] {
					case "add":
						checked := r.Check(words[2])
						err := r.add(words[1], words[2])
						require.Equal(t, checked, err, "Check tells what Add does")
						if err != nil {
							require.ErrorIs(t, err, registry.ErrTooManyConnections)
							refused = append(refused, words[1])
						}
					case "remove":
						r.Remove(r.id(words[1]))
					case "pin":
						r.pinned[words[1]] = true
					}
				}
				require.Equal(t, c.refused, strings.Join(refused, ","))
				require.Equal(t, c.replaced, strings.Join(r.replaced, ","))
				require.Equal(t, c.left, strings.Join(slices.Sorted(slices.Values(r.ByUser("ann"))), ","))
				for _, client := range r.replaced {
					got, here := r.Client(r.id(client))
					require.True(t, here == (client == got), "it is found by its id until it is removed")
					r.Remove(r.id(client))
				}
			})
		})
	}
}

// A connection that cannot be registered replaces no other.
func TestAddThatFailsReplacesNothing(t *testing.T) {
	testReplacing(t, 1, func(t *testing.T, r *harness) {
		r.directory.setDown(true)
		var group sync.WaitGroup
		for _, name := range []string{"a", "b", "c"} {
			id := r.id(name)
			group.Go(func() {
				if err := r.Add(t.Context(), id, "ann", name); !errors.Is(err, broker.ErrUnavailable) {
					t.Error(err)
				}
			})
		}
		group.Wait()
		require.Empty(t, r.replaced)
		r.directory.setDown(false)
		require.NoError(t, r.add("d", "ann"))
		require.Equal(t, "1/1 all=d ann=d registered=here", r.state())
	})
}

// However connections come and go at once, a user keeps as many as the limit allows.
func TestAddReplacesAsManyAsAreTooMany(t *testing.T) {
	testReplacing(t, 3, func(t *testing.T, r *harness) {
		ids := make([]uuid.UUID, 100)
		var group sync.WaitGroup
		for i := range ids {
			ids[i] = uuid.New()
			group.Go(func() {
				if err := r.Add(t.Context(), ids[i], "ann", "x"); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		require.Len(t, r.ByUser("ann"), 3)
		require.Len(t, r.replaced, 97)
		for _, id := range ids {
			r.Remove(id)
		}
		clients, users := r.Count()
		require.Zero(t, clients)
		require.Zero(t, users)
	})
}

func TestAddWaitsForTheDirectory(t *testing.T) {
	test(t, 0, func(t *testing.T, r *harness) {
		r.directory.setDown(true)
		require.NoError(t, r.add("anonymous", ""), "there is nothing to wait for")
		added := make(chan error, 1)
		go func() { added <- r.add("a", "ann") }()
		time.Sleep(2 * time.Second)
		require.Empty(t, added)
		r.directory.setDown(false)
		require.NoError(t, <-added)
		require.Equal(t, "2/1 all=a,anonymous ann=a registered=here", r.state())
	})
}

func TestAddFailsAfterTimeout(t *testing.T) {
	test(t, 1, func(t *testing.T, r *harness) {
		r.directory.setDown(true)
		require.ErrorIs(t, r.add("a", "ann"), broker.ErrUnavailable)
		require.Equal(t, "0/0 all= ann= registered=", r.state())
		r.directory.setDown(false)
		require.NoError(t, r.add("b", "ann"), "the refused connection is not counted")
		require.Equal(t, "1/1 all=b ann=b registered=here", r.state())
	})
}

func TestWithdrawDeregistersUsers(t *testing.T) {
	test(t, 0, func(t *testing.T, r *harness) {
		require.NoError(t, r.add("a", "ann"))
		require.NoError(t, r.Withdraw(t.Context()))
		require.Equal(t, "1/1 all=a ann=a registered=", r.state())
	})
}

func TestRemoveAfterRunStartsNoTimer(t *testing.T) {
	test(t, 0, func(t *testing.T, r *harness) {
		require.NoError(t, r.add("a", "ann"))
		t.Cleanup(func() {
			r.Remove(r.id("a"))
			clients, users := r.Count()
			require.Zero(t, clients)
			require.Zero(t, users)
		})
	})
}

// Many goroutines add and remove connections of few users at the same time.
func TestRegistryIsSafeForConcurrentUse(t *testing.T) {
	test(t, 0, func(t *testing.T, r *harness) {
		var group sync.WaitGroup
		for i := range 200 {
			group.Go(func() {
				id := uuid.New()
				if err := r.Add(t.Context(), id, fmt.Sprint("user", i%7), "x"); err != nil {
					t.Error(err)
				}
				r.Remove(id)
			})
		}
		group.Wait()
		clients, users := r.Count()
		require.Zero(t, clients)
		require.Zero(t, users)
		time.Sleep(10 * time.Second)
		for i := range 7 {
			holders, err := r.directory.Lookup(t.Context(), fmt.Sprint("user", i))
			require.NoError(t, err)
			require.Empty(t, holders)
		}
	})
}

func TestNewIDNamesItsGateway(t *testing.T) {
	one, two := registry.NewGatewayID(), registry.NewGatewayID()
	require.NotEqual(t, one, two)
	require.Len(t, one.String(), 12)
	seen := map[uuid.UUID]bool{}
	for range 1000 {
		id := one.NewID()
		require.False(t, seen[id])
		seen[id] = true
		require.Equal(t, one, registry.GatewayOf(id))
		require.Equal(t, uuid.Version(8), id.Version())
		require.Equal(t, uuid.RFC4122, id.Variant())
		parsed, err := uuid.Parse(id.String())
		require.NoError(t, err)
		require.Equal(t, one, registry.GatewayOf(parsed))
	}
}
