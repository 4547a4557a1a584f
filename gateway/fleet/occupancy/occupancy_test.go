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

// fakeDirectory answers every Occupy and Vacate with all channels of the call.
type fakeDirectory struct {
	// mu guards the fields below.
	mu sync.Mutex
	// expired are the channels that VacateExpired has yet to return.
	expired []string
	// down makes all calls fail with a part of the answer.
	down bool
	// ttl is that of the last call.
	ttl time.Duration
	// lastCheck is the time of the last call of VacateExpired.
	lastCheck time.Time
	// during, if not nil, runs within VacateExpired.
	during func()
}

// maxPerCall is the maximum number of channels that VacateExpired returns.
const maxPerCall = 10

func (d *fakeDirectory) Occupy(_ context.Context, channels []string, ttl time.Duration) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ttl = ttl
	return d.answer(channels)
}

func (d *fakeDirectory) Vacate(_ context.Context, channels []string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.answer(channels)
}

func (d *fakeDirectory) VacateExpired(_ context.Context, ttl time.Duration) ([]string, error) {
	d.mu.Lock()
	during := d.during
	d.mu.Unlock()
	if during != nil {
		during()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lastCheck, d.ttl = time.Now(), ttl
	some := d.expired[:min(maxPerCall, len(d.expired))]
	d.expired = d.expired[len(some):]
	return d.answer(some)
}

// answer returns channels, or the first of them with an error. The caller holds mu.
func (d *fakeDirectory) answer(channels []string) ([]string, error) {
	if d.down {
		return channels[:min(1, len(channels))], errDown
	}
	return channels, nil
}

// set makes the directory fail or work, and adds expired channels.
func (d *fakeDirectory) set(down bool, expired ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down, d.expired = down, append(d.expired, expired...)
}

func (d *fakeDirectory) onCheck(during func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.during = during
}

func (d *fakeDirectory) checkedAt() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lastCheck
}

func (d *fakeDirectory) lastTTL() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ttl
}

// harness is a running tracker and a recorder of its reports: "+a" when a is occupied, "-a" when a is vacated.
type harness struct {
	*occupancy.Tracker
	directory fakeDirectory

	// mu guards the fields below.
	mu           sync.Mutex
	recorded     []string
	backpressure bool
}

// record returns a callback for reports.
func (r *harness) record(sign string) func([]string) {
	return func(channels []string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, channel := range channels {
			r.recorded = append(r.recorded, sign+channel)
		}
	}
}

// reports returns the reports since it was last called.
func (r *harness) reports() string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	recorded := strings.Join(r.recorded, " ")
	r.recorded = nil
	return recorded
}

func (r *harness) setBackpressure(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.backpressure = on
}

// test calls do with a running tracker in a synctest bubble.
func test(t *testing.T, ttl time.Duration, do func(t *testing.T, r *harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &harness{}
		r.Tracker = occupancy.New(occupancy.Options{
			Directory:    &r.directory,
			TTL:          ttl,
			Occupied:     r.record("+"),
			Vacated:      r.record("-"),
			Backpressure: func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.backpressure },
			Logger:       slog.New(slog.DiscardHandler),
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

func TestTrackerReportsOccupiedAndVacated(t *testing.T) {
	test(t, ttl, func(t *testing.T, r *harness) {
		r.FirstSubscriber("a")
		require.Equal(t, "+a", r.reports())
		require.Equal(t, ttl, r.directory.lastTTL())
		time.Sleep(ttl)
		require.Equal(t, "+a +a +a", r.reports(), "it is renewed, and this directory answers every call with all channels")
		r.LastUnsubscribed("a")
		require.Equal(t, "-a", r.reports())
		r.FirstSubscriber("b")
		require.Equal(t, "+b", r.reports())
		require.NoError(t, r.Withdraw(t.Context()))
		require.Equal(t, "-b", r.reports())
	})
}

func TestTrackerReportsPartialAnswerOfFailedCall(t *testing.T) {
	test(t, ttl, func(t *testing.T, r *harness) {
		r.directory.set(true)
		r.FirstSubscriber("a")
		require.Equal(t, "+a", r.reports())
		r.LastUnsubscribed("a")
		time.Sleep(time.Second)
		require.Equal(t, "-a", r.reports())
		r.directory.set(true, "gone", "later")
		time.Sleep(ttl)
		require.Contains(t, r.reports(), "-gone")
	})
}

func TestTrackerReportsChannelsOfCrashedGateways(t *testing.T) {
	test(t, ttl, func(t *testing.T, r *harness) {
		r.directory.set(false, "a", "b")
		time.Sleep(ttl / 10)
		require.Equal(t, "-a -b", r.reports())
		require.Equal(t, ttl, r.directory.lastTTL())
		r.directory.set(true)
		time.Sleep(ttl)
		r.directory.set(false, "c")
		time.Sleep(ttl / 10)
		require.Equal(t, "-c", r.reports(), "failed calls do not change the interval")
	})
}

func TestTrackerStopsExpiringUnderBackpressure(t *testing.T) {
	test(t, ttl, func(t *testing.T, r *harness) {
		for i := range 10*maxPerCall + 1 {
			r.directory.set(false, fmt.Sprint(i))
		}
		r.setBackpressure(true)
		time.Sleep(ttl)
		require.Empty(t, r.reports())
		require.True(t, r.directory.checkedAt().IsZero(), "the directory keeps them")
		r.setBackpressure(false)
		time.Sleep(ttl / 10)
		require.Len(t, strings.Fields(r.reports()), 10*maxPerCall+1)
	})
}

// A channel that is occupied right after it expired is reported in that order.
func TestTrackerReportsInOrder(t *testing.T) {
	test(t, ttl, func(t *testing.T, r *harness) {
		r.directory.set(false, "a")
		r.directory.onCheck(func() {
			r.FirstSubscriber("a")
			time.Sleep(time.Second)
		})
		time.Sleep(ttl/10 + 1500*time.Millisecond)
		require.Equal(t, "-a +a", r.reports())
	})
}

func TestTrackerHasDefaultTTL(t *testing.T) {
	test(t, 0, func(t *testing.T, r *harness) {
		r.FirstSubscriber("a")
		require.Equal(t, "+a", r.reports())
		require.Equal(t, lease.TTL, r.directory.lastTTL())
	})
}
