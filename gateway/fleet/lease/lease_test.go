package lease_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway/fleet/lease"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// anything in the column calls means that the case does not check the calls.
const anything = "*"

var errDown = errors.New("down")

// fakeDirectory records the names of all calls: "+a" for a registration of a, "-a" for its removal, "!+a" for a call
// that failed.
type fakeDirectory struct {
	// mu guards the fields below.
	mu       sync.Mutex
	recorded []string
	// names are the registrations and when they expire.
	names map[string]time.Time
	// down makes all calls fail.
	down bool
	// during, if not nil, runs within every call.
	during func(call string)
	// sizes are the numbers of names of all calls.
	sizes []int
}

func (d *fakeDirectory) register(_ context.Context, names []string) error {
	return d.call("+", names)
}

func (d *fakeDirectory) deregister(_ context.Context, names []string) error {
	return d.call("-", names)
}

func (d *fakeDirectory) call(sign string, names []string) error {
	d.mu.Lock()
	during := d.during
	d.mu.Unlock()
	if during != nil {
		during(sign)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sizes = append(d.sizes, len(names))
	mark := sign
	if d.down {
		mark = "!" + sign
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		d.recorded = append(d.recorded, mark+name)
		if d.down {
			continue
		}
		if delete(d.names, name); sign == "+" {
			d.names[name] = time.Now().Add(lease.TTL)
		}
	}
	if d.down {
		return errDown
	}
	return nil
}

func (d *fakeDirectory) setDown(down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = down
}

func (d *fakeDirectory) onCall(during func(call string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.during = during
}

// calls returns the names of all calls since it was last called.
func (d *fakeDirectory) calls() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	recorded := strings.Join(d.recorded, " ")
	d.recorded = nil
	return recorded
}

// registered returns the names whose registrations have not expired.
func (d *fakeDirectory) registered() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(d.names, func(_ string, until time.Time) bool { return now.After(until) })
	return strings.Join(slices.Sorted(maps.Keys(d.names)), " ")
}

// test calls do with a set in a synctest bubble. The set starts to work when do calls run.
func test(t *testing.T, do func(t *testing.T, s *lease.Set, d *fakeDirectory, run func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDirectory{names: map[string]time.Time{}}
		s := lease.New(lease.Options{
			Register: d.register, Deregister: d.deregister, Logger: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		running := false
		do(t, s, d, func() {
			running = true
			go func() { ended <- s.Run(ctx) }()
			synctest.Wait()
		})
		cancel()
		if running {
			require.NoError(t, <-ended)
		}
	})
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// The directory ends up with the names of the set, whatever happened before.
func TestSetSendsLatestState(t *testing.T) {
	for name, c := range map[string]struct{ steps, calls, registered string }{
		"added":                                    {"add a", "+a", "a"},
		"added twice":                              {"add a; add a", "+a", "a"},
		"added and removed":                        {"add a; remove a", "+a -a", ""},
		"never added":                              {"remove a", "", ""},
		"removed twice":                            {"add a; remove a; remove a", "+a -a", ""},
		"added again":                              {"add a; remove a; add a", "+a -a +a", "a"},
		"down":                                     {"down; add a; wait 500ms", "!+a", ""},
		"down and up":                              {"down; add a; up; wait 2s", "!+a +a", "a"},
		"down, removed":                            {"down; add a; remove a; up; wait 2s", "!+a -a", ""},
		"removed while down, added again":          {"add a; down; remove a; add a; up; wait 2s", "+a !-a +a", "a"},
		"removed while down, added, removed":       {"add a; down; remove a; add a; remove a; up; wait 2s", "+a !-a -a", ""},
		"added and removed before Run":             {"stop; add a; remove a; run", "", ""},
		"added, removed, added before Run":         {"stop; add a; remove a; add a; run", "+a", "a"},
		"removed and added during a call":          {"add a; block; remove a; add a; unblock", "+a +a", "a"},
		"removed, added and removed during a call": {"add a; block; remove a; add a; remove a; unblock", "+a -a", ""},
		"renewed":                                  {"add a; wait 61s", "+a +a +a +a", "a"},
		"not renewed after removal":                {"add a; remove a; wait 61s", "+a -a", ""},
		"expired while down":                       {"add a; down; wait 61s; up; wait 2s", anything, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			test(t, func(t *testing.T, s *lease.Set, d *fakeDirectory, run func()) {
				var blocked chan struct{}
				if !strings.HasPrefix(c.steps, "stop") {
					run()
				}
				for step := range strings.SplitSeq(c.steps, "; ") {
					verb, object, _ := strings.Cut(step, " ")
					switch verb {
					case "add":
						s.Add(object)
					case "remove":
						s.Remove(object)
					case "down", "up":
						d.setDown(verb == "down")
					case "run":
						run()
					case "block":
						// Blocks the sender in a call for another name.
						blocked = make(chan struct{})
						d.onCall(func(string) { <-blocked })
						s.Add("other")
					case "unblock":
						d.onCall(nil)
						close(blocked)
					case "wait":
						wait, err := time.ParseDuration(object)
						require.NoError(t, err)
						time.Sleep(wait)
					}
					synctest.Wait()
				}
				calls := strings.Join(strings.Fields(strings.ReplaceAll(d.calls(), "+other", "")), " ")
				if c.calls != anything {
					require.Equal(t, c.calls, calls)
				}
				require.Equal(t, c.registered, strings.TrimSpace(strings.ReplaceAll(d.registered(), "other", "")))
			})
		})
	}
}

func TestAddReturnsChannelThatClosesOnceRegistered(t *testing.T) {
	test(t, func(t *testing.T, s *lease.Set, d *fakeDirectory, run func()) {
		d.setDown(true)
		run()
		first, second := s.Add("a"), s.Add("a")
		time.Sleep(10 * time.Second)
		require.False(t, isClosed(first))
		require.False(t, isClosed(second))
		d.setDown(false)
		time.Sleep(2 * time.Second)
		require.True(t, isClosed(first))
		require.True(t, isClosed(second))
		require.True(t, isClosed(s.Add("a")), "it is registered")
		s.Remove("a")
		require.False(t, isClosed(s.Add("a")), "it may have been removed by now")
		synctest.Wait()
		require.True(t, isClosed(s.Add("a")))
	})
}

// Changes during a call are sent after the call, in their order.
func TestSetSendsChangesOfRunningCallAfterwards(t *testing.T) {
	test(t, func(t *testing.T, s *lease.Set, d *fakeDirectory, run func()) {
		run()
		blocked := make(chan struct{})
		d.onCall(func(string) { <-blocked })
		waiting := s.Add("a")
		synctest.Wait()
		s.Remove("a")
		synctest.Wait()
		require.Empty(t, d.calls())
		d.onCall(nil)
		close(blocked)
		synctest.Wait()
		require.Equal(t, "+a -a", d.calls())
		require.False(t, isClosed(waiting), "a removed name is never confirmed")
	})
}

// Callers wait for new names, and no caller waits for renewals.
func TestSetSendsNewNamesBeforeRenewals(t *testing.T) {
	test(t, func(t *testing.T, s *lease.Set, d *fakeDirectory, run func()) {
		run()
		for i := range 2000 {
			s.Add(fmt.Sprintf("old%d", i))
		}
		synctest.Wait()
		_ = d.calls()
		calls, urgent := 0, make(chan struct{})
		d.onCall(func(string) {
			if calls++; calls == 1 {
				go func() {
					<-s.Add("new")
					close(urgent)
				}()
			}
			time.Sleep(10 * time.Millisecond)
		})
		time.Sleep(lease.TTL / 3)
		start := time.Now()
		<-urgent
		require.Less(t, time.Since(start), 50*time.Millisecond)
		d.onCall(nil)
		time.Sleep(lease.TTL / 3)
	})
}

func TestSetBoundsBatches(t *testing.T) {
	test(t, func(t *testing.T, s *lease.Set, d *fakeDirectory, run func()) {
		for i := range 1000 {
			s.Add(fmt.Sprint(i))
		}
		run()
		require.Equal(t, []int{256, 256, 256, 232}, d.sizes)
	})
}

func TestWithdrawRemovesAllNames(t *testing.T) {
	test(t, func(t *testing.T, s *lease.Set, d *fakeDirectory, run func()) {
		run()
		for i := range 1000 {
			s.Add(fmt.Sprint(i))
		}
		synctest.Wait()
		require.NoError(t, s.Withdraw(t.Context()))
		require.Empty(t, d.registered())
		require.NoError(t, s.Withdraw(t.Context()), "there is nothing to remove")
		time.Sleep(lease.TTL)
		require.Empty(t, d.registered(), "nothing is renewed")
		s.Add("later")
		synctest.Wait()
		require.Equal(t, "later", d.registered())
	})
}

// A running call must not register again what Withdraw removes.
func TestWithdrawFollowsRunningCall(t *testing.T) {
	test(t, func(t *testing.T, s *lease.Set, d *fakeDirectory, run func()) {
		run()
		blocked := make(chan struct{})
		d.onCall(func(string) { <-blocked })
		s.Add("a")
		synctest.Wait()
		ended := make(chan error, 1)
		go func() { ended <- s.Withdraw(t.Context()) }()
		synctest.Wait()
		d.onCall(nil)
		close(blocked)
		require.NoError(t, <-ended)
		require.Equal(t, "+a -a", d.calls())
		require.Empty(t, d.registered())
	})
}

func TestWithdrawEndsWithItsContext(t *testing.T) {
	test(t, func(t *testing.T, s *lease.Set, d *fakeDirectory, run func()) {
		run()
		s.Add("a")
		synctest.Wait()
		d.setDown(true)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		require.ErrorIs(t, s.Withdraw(ctx), context.DeadlineExceeded)
	})
}
