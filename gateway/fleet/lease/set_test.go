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

// anything is what a test does not look at.
const anything = "*"

var errDown = errors.New("down")

// directory writes down what it is told: +a is held, -a is let go, !+a was told and failed.
type directory struct {
	mu    sync.Mutex
	told  []string
	names map[string]time.Time
	down  bool
	// during, when there is one, runs while a call is under way.
	during func(call string)
	calls  []int
}

func (d *directory) hold(_ context.Context, names []string) error { return d.call("+", names) }
func (d *directory) letGo(_ context.Context, names []string) error {
	return d.call("-", names)
}

func (d *directory) call(sign string, names []string) error {
	d.mu.Lock()
	during := d.during
	d.mu.Unlock()
	if during != nil {
		during(sign)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, len(names))
	mark := sign
	if d.down {
		mark = "!" + sign
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		d.told = append(d.told, mark+name)
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

func (d *directory) set(down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = down
}

func (d *directory) onCall(during func(call string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.during = during
}

// heard is what it was told since the last time.
func (d *directory) heard() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	told := strings.Join(d.told, " ")
	d.told = nil
	return told
}

// has are the names that it has not forgotten.
func (d *directory) has() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(d.names, func(_ string, until time.Time) bool { return now.After(until) })
	return strings.Join(slices.Sorted(maps.Keys(d.names)), " ")
}

// test runs a roster in a bubble of its own; run begins its work.
func test(t *testing.T, do func(t *testing.T, r *lease.Roster, d *directory, run func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &directory{names: map[string]time.Time{}}
		r := lease.New(lease.Options{Hold: d.hold, LetGo: d.letGo, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		running := false
		do(t, r, d, func() {
			running = true
			go func() { ended <- r.Run(ctx) }()
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

// What the directory is told is what is wanted in the end, whatever was wanted before.
func TestTheDirectoryHearsWhatHolds(t *testing.T) {
	for name, c := range map[string]struct{ steps, told, has string }{
		"wanted":                                {"want a", "+a", "a"},
		"wanted twice":                          {"want a; want a", "+a", "a"},
		"wanted and not":                        {"want a; unwant a", "+a -a", ""},
		"never wanted":                          {"unwant a", "", ""},
		"not wanted twice":                      {"want a; unwant a; unwant a", "+a -a", ""},
		"wanted again":                          {"want a; unwant a; want a", "+a -a +a", "a"},
		"down":                                  {"down; want a; wait 500ms", "!+a", ""},
		"down and up":                           {"down; want a; up; wait 2s", "!+a +a", "a"},
		"down, and not wanted any more":         {"down; want a; unwant a; up; wait 2s", "!+a -a", ""},
		"not wanted, down, wanted again":        {"want a; down; unwant a; want a; up; wait 2s", "+a !-a +a", "a"},
		"not wanted, down, wanted and not":      {"want a; down; unwant a; want a; unwant a; up; wait 2s", "+a !-a -a", ""},
		"nobody heard of it":                    {"stop; want a; unwant a; run", "", ""},
		"nobody heard of it the second time":    {"stop; want a; unwant a; want a; run", "+a", "a"},
		"not wanted and wanted, nobody told":    {"want a; hold; unwant a; want a; go", "+a +a", "a"},
		"not wanted, wanted and not, once told": {"want a; hold; unwant a; want a; unwant a; go", "+a -a", ""},
		"renewed":                               {"want a; wait 61s", "+a +a +a +a", "a"},
		"not renewed when not wanted":           {"want a; unwant a; wait 61s", "+a -a", ""},
		"forgotten while it was down":           {"want a; down; wait 61s; up; wait 2s", anything, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			test(t, func(t *testing.T, r *lease.Roster, d *directory, run func()) {
				var busy chan struct{}
				if !strings.HasPrefix(c.steps, "stop") {
					run()
				}
				for step := range strings.SplitSeq(c.steps, "; ") {
					verb, object, _ := strings.Cut(step, " ")
					switch verb {
					case "want":
						r.Want(object)
					case "unwant":
						r.Unwant(object)
					case "down", "up":
						d.set(verb == "down")
					case "run":
						run()
					case "hold":
						// Keeps the teller busy with something else.
						busy = make(chan struct{})
						d.onCall(func(string) { <-busy })
						r.Want("other")
					case "go":
						d.onCall(nil)
						close(busy)
					case "wait":
						wait, err := time.ParseDuration(object)
						require.NoError(t, err)
						time.Sleep(wait)
					}
					synctest.Wait()
				}
				told := strings.Join(strings.Fields(strings.ReplaceAll(d.heard(), "+other", "")), " ")
				if c.told != anything {
					require.Equal(t, c.told, told)
				}
				require.Equal(t, c.has, strings.TrimSpace(strings.ReplaceAll(d.has(), "other", "")))
			})
		})
	}
}

func TestWaitingForTheDirectory(t *testing.T) {
	test(t, func(t *testing.T, r *lease.Roster, d *directory, run func()) {
		d.set(true)
		run()
		first, second := r.Want("a"), r.Want("a")
		time.Sleep(10 * time.Second)
		require.False(t, isClosed(first))
		require.False(t, isClosed(second))
		d.set(false)
		time.Sleep(2 * time.Second)
		require.True(t, isClosed(first))
		require.True(t, isClosed(second))
		require.True(t, isClosed(r.Want("a")), "it is known")
		r.Unwant("a")
		require.False(t, isClosed(r.Want("a")), "and may be let go now")
		synctest.Wait()
		require.True(t, isClosed(r.Want("a")))
	})
}

// What comes and goes while a call is under way is told after it, and in that order.
func TestWhatChangesDuringACall(t *testing.T) {
	test(t, func(t *testing.T, r *lease.Roster, d *directory, run func()) {
		run()
		held := make(chan struct{})
		d.onCall(func(string) { <-held })
		waiting := r.Want("a")
		synctest.Wait()
		r.Unwant("a")
		synctest.Wait()
		require.Empty(t, d.heard())
		d.onCall(nil)
		close(held)
		synctest.Wait()
		require.Equal(t, "+a -a", d.heard())
		require.False(t, isClosed(waiting), "nobody waits for what is not wanted any more")
	})
}

// Somebody waits for a name that is new, and nobody for the many that are told again.
func TestNewNamesComeBeforeRenewals(t *testing.T) {
	test(t, func(t *testing.T, r *lease.Roster, d *directory, run func()) {
		run()
		for i := range 2000 {
			r.Want(fmt.Sprintf("old%d", i))
		}
		synctest.Wait()
		_ = d.heard()
		calls, urgent := 0, make(chan struct{})
		d.onCall(func(string) {
			if calls++; calls == 1 {
				go func() {
					<-r.Want("new")
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

func TestBatchesAreBounded(t *testing.T) {
	test(t, func(t *testing.T, r *lease.Roster, d *directory, run func()) {
		for i := range 1000 {
			r.Want(fmt.Sprint(i))
		}
		run()
		require.Equal(t, []int{256, 256, 256, 232}, d.calls)
	})
}

func TestWithdrawTakesEverythingOut(t *testing.T) {
	test(t, func(t *testing.T, r *lease.Roster, d *directory, run func()) {
		run()
		for i := range 1000 {
			r.Want(fmt.Sprint(i))
		}
		synctest.Wait()
		require.NoError(t, r.Withdraw(t.Context()))
		require.Empty(t, d.has())
		require.NoError(t, r.Withdraw(t.Context()), "nothing is left to do")
		time.Sleep(lease.TTL)
		require.Empty(t, d.has(), "and nothing is renewed")
		r.Want("later")
		synctest.Wait()
		require.Equal(t, "later", d.has())
	})
}

// A call that is under way when the end comes must not put back what is taken out.
func TestWithdrawComesAfterWhatIsUnderWay(t *testing.T) {
	test(t, func(t *testing.T, r *lease.Roster, d *directory, run func()) {
		run()
		held := make(chan struct{})
		d.onCall(func(string) { <-held })
		r.Want("a")
		synctest.Wait()
		ended := make(chan error, 1)
		go func() { ended <- r.Withdraw(t.Context()) }()
		synctest.Wait()
		d.onCall(nil)
		close(held)
		require.NoError(t, <-ended)
		require.Equal(t, "+a -a", d.heard())
		require.Empty(t, d.has())
	})
}

func TestWithdrawEndsWithItsContext(t *testing.T) {
	test(t, func(t *testing.T, r *lease.Roster, d *directory, run func()) {
		run()
		r.Want("a")
		synctest.Wait()
		d.set(true)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		require.ErrorIs(t, r.Withdraw(ctx), context.DeadlineExceeded)
	})
}
