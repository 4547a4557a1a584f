package occupancy_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway/fleet/lease"
	"github.com/wsfleet/wsfleet/gateway/fleet/occupancy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ttl = 12 * time.Second

var errDown = errors.New("down")

// directory says yes to everything, and has a list of channels whose gateways are gone.
type directory struct {
	mu     sync.Mutex
	lapsed []string
	down   bool
	ttl    time.Duration
	// asked is when it was last asked for lapsed channels.
	asked time.Time
	// during, when there is one, runs while a call is under way.
	during func()
}

// perCall is how many lapsed channels it returns at once.
const perCall = 10

func (d *directory) Occupy(_ context.Context, channels []string, ttl time.Duration) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ttl = ttl
	return d.answer(channels)
}

func (d *directory) Vacate(_ context.Context, channels []string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.answer(channels)
}

func (d *directory) VacateExpired(_ context.Context, ttl time.Duration) ([]string, error) {
	d.mu.Lock()
	during := d.during
	d.mu.Unlock()
	if during != nil {
		during()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked, d.ttl = time.Now(), ttl
	some := d.lapsed[:min(perCall, len(d.lapsed))]
	d.lapsed = d.lapsed[len(some):]
	return d.answer(some)
}

// answer has part of an answer also with an error.
func (d *directory) answer(channels []string) ([]string, error) {
	if d.down {
		return channels[:min(1, len(channels))], errDown
	}
	return channels, nil
}

func (d *directory) set(down bool, lapsed ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down, d.lapsed = down, append(d.lapsed, lapsed...)
}

func (d *directory) onAsk(during func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.during = during
}

func (d *directory) lastAsked() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

func (d *directory) lastTTL() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ttl
}

// rig is a keeper that runs, and what it tells: +a is occupied, -a is vacated.
type rig struct {
	*occupancy.Keeper
	directory directory

	mu      sync.Mutex
	told    []string
	crowded bool
}

func (r *rig) tell(sign string) func([]string) {
	return func(channels []string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, channel := range channels {
			r.told = append(r.told, sign+channel)
		}
	}
}

// heard is what it told since the last time.
func (r *rig) heard() string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	told := strings.Join(r.told, " ")
	r.told = nil
	return told
}

func (r *rig) crowd(crowded bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.crowded = crowded
}

// test runs a keeper in a bubble of its own.
func test(t *testing.T, ttl time.Duration, do func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{}
		r.Keeper = occupancy.New(occupancy.Options{
			Directory: &r.directory, TTL: ttl, Occupied: r.tell("+"), Vacated: r.tell("-"), Logger: slog.New(slog.DiscardHandler),
			Crowded: func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.crowded },
		})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		defer func() {
			cancel()
			require.NoError(t, <-ended)
		}()
		synctest.Wait()
		do(t, r)
	})
}

func TestChannelsThatComeAndGo(t *testing.T) {
	test(t, ttl, func(t *testing.T, r *rig) {
		r.Appeared("a")
		require.Equal(t, "+a", r.heard())
		require.Equal(t, ttl, r.directory.lastTTL())
		time.Sleep(ttl)
		require.Equal(t, "+a +a +a", r.heard(), "it is renewed, and this directory says yes to everything")
		r.Vanished("a")
		require.Equal(t, "-a", r.heard())
		r.Appeared("b")
		require.Equal(t, "+b", r.heard())
		require.NoError(t, r.Withdraw(t.Context()))
		require.Equal(t, "-b", r.heard())
	})
}

func TestAnAnswerIsToldAlsoWithAnError(t *testing.T) {
	test(t, ttl, func(t *testing.T, r *rig) {
		r.directory.set(true)
		r.Appeared("a")
		require.Equal(t, "+a", r.heard())
		r.Vanished("a")
		time.Sleep(time.Second)
		require.Equal(t, "-a", r.heard())
		r.directory.set(true, "gone", "later")
		time.Sleep(ttl)
		require.Contains(t, r.heard(), "-gone")
	})
}

func TestChannelsOfGatewaysThatAreGone(t *testing.T) {
	test(t, ttl, func(t *testing.T, r *rig) {
		r.directory.set(false, "a", "b")
		time.Sleep(ttl / 10)
		require.Equal(t, "-a -b", r.heard())
		require.Equal(t, ttl, r.directory.lastTTL())
		r.directory.set(true)
		time.Sleep(ttl)
		r.directory.set(false, "c")
		time.Sleep(ttl / 10)
		require.Equal(t, "-c", r.heard(), "it asks as often while the directory is away")
	})
}

func TestManyAreTakenWhileThereIsRoom(t *testing.T) {
	test(t, ttl, func(t *testing.T, r *rig) {
		for i := range 10*perCall + 1 {
			r.directory.set(false, fmt.Sprint(i))
		}
		r.crowd(true)
		time.Sleep(ttl)
		require.Empty(t, r.heard())
		require.True(t, r.directory.lastAsked().IsZero(), "they are kept there")
		r.crowd(false)
		time.Sleep(ttl / 10)
		require.Len(t, strings.Fields(r.heard()), 10*perCall+1)
	})
}

// A channel that is occupied again right after it was vacated is told of in that order.
func TestWhatHoldsIsToldLast(t *testing.T) {
	test(t, ttl, func(t *testing.T, r *rig) {
		r.directory.set(false, "a")
		r.directory.onAsk(func() {
			r.Appeared("a")
			time.Sleep(time.Second)
		})
		time.Sleep(ttl/10 + 1500*time.Millisecond)
		require.Equal(t, "-a +a", r.heard())
	})
}

func TestWithoutATimeToLive(t *testing.T) {
	test(t, 0, func(t *testing.T, r *rig) {
		r.Appeared("a")
		require.Equal(t, "+a", r.heard())
		require.Equal(t, lease.TTL, r.directory.lastTTL())
	})
}
