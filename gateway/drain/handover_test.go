package drain_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/drain"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// reserve is how long before the deadline the last gateway stops waiting.
const reserve = 15 * time.Second

// withOthers makes the machine ask answer whether another gateway serves.
func withOthers(answer func() (bool, error)) func(*drain.Options) {
	return func(o *drain.Options) {
		o.AnotherServes = func(context.Context) (bool, error) { return answer() }
	}
}

// A drain's readiness fails and its first connection is closed at these times after its start.
func TestMachineHandsOver(t *testing.T) {
	const second = time.Second
	from := func(at time.Duration) func(since time.Duration) (bool, error) {
		return func(since time.Duration) (bool, error) { return since >= at, nil }
	}
	for _, c := range []struct {
		name      string
		serves    func(since time.Duration) (bool, error)
		timeout   time.Duration
		told      time.Duration // when a request asks not to wait; 0 is never
		readiness time.Duration
		closing   time.Duration
	}{
		{"another one serves", from(0), timeout, 0, 0, delay},
		{"another one serves later", from(60 * second), timeout, 0, 60 * second, 60*second + delay},
		{"another one serves late", from(timeout - 20*second), timeout, 0, timeout - 20*second, timeout - reserve},
		{"none ever serves", from(timeout), timeout, 0, timeout - reserve, timeout - reserve},
		{"none serves in a short drain", from(timeout), 12 * second, 0, 0, 6 * second},
		{"not known", func(time.Duration) (bool, error) { return false, errors.New("no broker") }, timeout, 0, delay, delay},
		{"not known in a short drain", nil, 12 * second, 0, 0, 6 * second},
		{"nobody to ask", nil, timeout, 0, delay, delay},
		{"nobody to ask, told", nil, timeout, 4 * second, 4 * second, 4*second + delay},
		{"none serves, told", from(timeout), timeout, 30 * second, 30 * second, 30*second + delay},
		{"none serves, then not known", func(since time.Duration) (bool, error) {
			if since > 2*second {
				return false, errors.New("no broker")
			}
			return false, nil
		}, timeout, 0, timeout - reserve, timeout - reserve},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				m, f := newMachine(1000, 0, func(o *drain.Options) { o.AnotherServes = nil })
				if c.serves != nil {
					m, f = newMachine(1000, 0, withOthers(func() (bool, error) { return c.serves(time.Since(start)) }))
				}
				m.Start(drain.Request{Reason: "test", Timeout: c.timeout})
				if c.told > 0 {
					time.AfterFunc(c.told, func() { _ = m.Join(drain.Request{HandOver: true}) })
				}
				for synctest.Wait(); m.Ready(); synctest.Wait() {
					require.True(t, f.gate.Accepting())
					require.True(t, m.Report().WaitsForAnother)
					require.Equal(t, 1000, f.Open(), "no connection is closed before")
					time.Sleep(second / 10)
				}
				require.Equal(t, c.readiness, time.Since(start).Round(second/2), "readiness fails")
				require.False(t, m.Report().WaitsForAnother)
				for ; f.gate.Accepting(); synctest.Wait() {
					require.Equal(t, 1000, f.Open(), "no connection is closed before")
					time.Sleep(second / 10)
				}
				require.Equal(t, c.closing, time.Since(start).Round(second/2), "closing begins")
				time.Sleep(time.Until(m.Report().Deadline))
				synctest.Wait()
				require.Equal(t, contract.StateDrained, m.State())
				require.Zero(t, m.Report().Forced, "the pace still holds")
				require.NoError(t, m.Undrain())
				require.True(t, m.Ready())
			})
		})
	}
}

// A drain that waits can be undone, and the next one asks again.
func TestMachineThatWaitsServesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		m, f := newMachine(5, 0, withOthers(func() (bool, error) { asked.Add(1); return false, nil }))
		m.Start(drain.Request{Reason: "admin"})
		time.Sleep(time.Minute)
		require.False(t, f.gate.Serving(), "the others must not count on it")
		require.NoError(t, m.Undrain())
		require.True(t, f.gate.Serving())
		require.True(t, f.gate.Accepting())
		before := asked.Load()
		require.Greater(t, before, int32(30))
		time.Sleep(time.Minute)
		require.Equal(t, before, asked.Load(), "nothing asks on")
		m.Start(drain.Request{Reason: "admin"})
		synctest.Wait()
		require.Greater(t, asked.Load(), before)
		m.Stop()
	})
}

// The last gateway does not wait for another one when no client comes.
func TestMachineWithoutClientsDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(0, 0, withOthers(func() (bool, error) { return false, nil }))
		m.Start(drain.Request{Reason: "preStop"})
		time.Sleep(delay / 2)
		require.True(t, f.gate.Accepting(), "a client asks, and goes elsewhere")
		time.Sleep(delay - time.Second)
		synctest.Wait()
		require.Equal(t, contract.StateDraining, m.State())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, contract.StateDrained, m.State())
		require.False(t, m.Ready())
		require.False(t, f.gate.Accepting())
	})
}

func TestMachineJoinBeginsNoDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newMachine(1, 0)
		require.ErrorIs(t, m.Join(drain.Request{HandOver: true}), drain.ErrServing)
		require.Equal(t, contract.StateServing, m.State())
		require.True(t, m.Ready())
	})
}
