package registry_test

import (
	"context"
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

// patience is that of the registries.
const patience = 5 * time.Second

// directory can be away.
type directory struct {
	*memory.Broker
	mu   sync.Mutex
	away bool
}

func (d *directory) set(away bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away = away
}

// Register implements broker.Directory.
func (d *directory) Register(ctx context.Context, users []string, ttl time.Duration) error {
	d.mu.Lock()
	away := d.away
	d.mu.Unlock()
	if away {
		return broker.ErrUnavailable
	}
	return d.Broker.Register(ctx, users, ttl)
}

// rig is a registry whose connections are called by short names.
type rig struct {
	*registry.Registry[string]
	t         *testing.T
	directory *directory
	ids       map[string]uuid.UUID
}

func test(t *testing.T, mostPerUser int, do func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, directory: &directory{Broker: memory.New(memory.Options{Instance: "here"})}, ids: map[string]uuid.UUID{}}
		r.Registry = registry.New[string](registry.Options{Directory: r.directory, MaxPerUser: mostPerUser, Patience: patience, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		do(t, r)
		cancel()
		require.NoError(t, <-ended)
	})
}

func (r *rig) id(name string) uuid.UUID {
	if _, known := r.ids[name]; !known {
		r.ids[name] = uuid.New()
	}
	return r.ids[name]
}

func (r *rig) add(name, user string) error {
	return r.Add(r.t.Context(), r.id(name), user, name)
}

// state is who is here: connections, those of ann, and whether the directory has ann here.
func (r *rig) state() string {
	r.t.Helper()
	synctest.Wait()
	holders, err := r.directory.Lookup(r.t.Context(), "ann")
	require.NoError(r.t, err)
	clients, users := r.Count()
	sorted := func(list []string) string { return strings.Join(slices.Sorted(slices.Values(list)), ",") }
	return fmt.Sprintf("%d/%d all=%s ann=%s held=%s", clients, users, sorted(r.All()), sorted(r.Of("ann")), strings.Join(holders, ","))
}

func TestWhoIsHere(t *testing.T) {
	for name, c := range map[string]struct{ steps, state string }{
		"nobody":                       {"", "0/0 all= ann= held="},
		"without a user":               {"add a", "1/0 all=a ann= held="},
		"with a user":                  {"add a ann", "1/1 all=a ann=a held=here"},
		"several of a user":            {"add a ann; add b ann; add c ann", "3/1 all=a,b,c ann=a,b,c held=here"},
		"of two users":                 {"add a ann; add b bob", "2/2 all=a,b ann=a held=here"},
		"the first of three leaves":    {"add a ann; add b ann; add c ann; remove a", "2/1 all=b,c ann=b,c held=here"},
		"the second of three leaves":   {"add a ann; add b ann; add c ann; remove b", "2/1 all=a,c ann=a,c held=here"},
		"the third of three leaves":    {"add a ann; add b ann; add c ann; remove c", "2/1 all=a,b ann=a,b held=here"},
		"all leave, in some order":     {"add a ann; add b ann; add c ann; remove b; remove c; remove a; wait 6s", "0/0 all= ann= held="},
		"a user leaves a moment ago":   {"add a ann; remove a; wait 4s", "0/0 all= ann= held=here"},
		"a user leaves":                {"add a ann; remove a; wait 6s", "0/0 all= ann= held="},
		"a user reloads":               {"add a ann; remove a; wait 4s; add b ann; wait 10s", "1/1 all=b ann=b held=here"},
		"a user reloads and leaves":    {"add a ann; remove a; wait 4s; add b ann; remove b; wait 4s", "0/0 all= ann= held=here"},
		"a user is back after a while": {"add a ann; remove a; wait 6s; add b ann", "1/1 all=b ann=b held=here"},
		"removed twice":                {"add a ann; add b ann; remove a; remove a", "1/1 all=b ann=b held=here"},
		"removed and never there":      {"remove a", "0/0 all= ann= held="},
		"without a user, and gone":     {"add a; remove a", "0/0 all= ann= held="},
		"for long":                     {"add a ann; wait 10m", "1/1 all=a ann=a held=here"},
	} {
		t.Run(name, func(t *testing.T) {
			test(t, 0, func(t *testing.T, r *rig) {
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

func TestConnectionsOfAUserAreBounded(t *testing.T) {
	test(t, 2, func(t *testing.T, r *rig) {
		require.NoError(t, r.add("a", "ann"))
		require.NoError(t, r.add("b", "ann"))
		require.ErrorIs(t, r.add("c", "ann"), registry.ErrTooMany)
		_, here := r.Client(r.id("c"))
		require.False(t, here)
		require.NoError(t, r.add("d", "bob"))
		for i := range 10 {
			require.NoError(t, r.add(fmt.Sprint(i), ""), "who has no user is not counted")
		}
		r.Remove(r.id("c"))
		require.ErrorIs(t, r.add("c", "ann"), registry.ErrTooMany, "removing who was refused frees nothing")
		r.Remove(r.id("a"))
		require.NoError(t, r.add("c", "ann"))
		c, here := r.Client(r.id("c"))
		require.True(t, here)
		require.Equal(t, "c", c)
	})
}

func TestAddWaitsForTheDirectory(t *testing.T) {
	test(t, 0, func(t *testing.T, r *rig) {
		r.directory.set(true)
		require.NoError(t, r.add("anonymous", ""), "there is nothing to wait for")
		added := make(chan error, 1)
		go func() { added <- r.add("a", "ann") }()
		time.Sleep(2 * time.Second)
		require.Empty(t, added)
		r.directory.set(false)
		require.NoError(t, <-added)
		require.Equal(t, "2/1 all=a,anonymous ann=a held=here", r.state())
	})
}

func TestAddGivesUp(t *testing.T) {
	test(t, 1, func(t *testing.T, r *rig) {
		r.directory.set(true)
		require.ErrorIs(t, r.add("a", "ann"), broker.ErrUnavailable)
		require.Equal(t, "0/0 all= ann= held=", r.state())
		r.directory.set(false)
		require.NoError(t, r.add("b", "ann"), "the place is free")
		require.Equal(t, "1/1 all=b ann=b held=here", r.state())
	})
}

func TestWithdrawTakesUsersOut(t *testing.T) {
	test(t, 0, func(t *testing.T, r *rig) {
		require.NoError(t, r.add("a", "ann"))
		require.NoError(t, r.Withdraw(t.Context()))
		require.Equal(t, "1/1 all=a ann=a held=", r.state())
	})
}

func TestAfterTheEndNobodyLingers(t *testing.T) {
	test(t, 0, func(t *testing.T, r *rig) {
		require.NoError(t, r.add("a", "ann"))
		t.Cleanup(func() {
			r.Remove(r.id("a"))
			clients, users := r.Count()
			require.Zero(t, clients)
			require.Zero(t, users)
		})
	})
}

// Many come and go at once: what is counted is what is there.
func TestCrowd(t *testing.T) {
	test(t, 0, func(t *testing.T, r *rig) {
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

func TestIDsNameTheirInstance(t *testing.T) {
	one, two := registry.NewInstance(), registry.NewInstance()
	require.NotEqual(t, one, two)
	require.Len(t, one.String(), 12)
	seen := map[uuid.UUID]bool{}
	for range 1000 {
		id := one.NewID()
		require.False(t, seen[id])
		seen[id] = true
		require.Equal(t, one, registry.InstanceOf(id))
		require.Equal(t, uuid.Version(8), id.Version())
		require.Equal(t, uuid.RFC4122, id.Variant())
		parsed, err := uuid.Parse(id.String())
		require.NoError(t, err)
		require.Equal(t, one, registry.InstanceOf(parsed))
	}
}
