package drain_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/drain"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// sleepUntil advances the time until is returns true, for an hour at most.
func sleepUntil(t *testing.T, is func() bool) {
	t.Helper()
	for range 36_000 {
		synctest.Wait()
		if is() {
			return
		}
		time.Sleep(time.Second / 10)
	}
	require.Fail(t, "it does not come")
}

// hasEnded reports whether a partial drain has left no more connections than it was to keep.
func hasEnded(m *drain.Machine) bool {
	last := m.LastPartial()
	return last != nil && last.Reached
}

func TestPartialDrainServesAgainWhenEnoughAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(1000, 0)
		f.resumable = 150
		start := time.Now()
		m.Start(drain.Request{Reason: "rebalance", Keep: 800, Timeout: timeout})
		synctest.Wait()
		require.Equal(t, contract.StateDraining, m.State())
		require.False(t, m.Ready(), "clients find other gateways")
		report := m.Report()
		require.Equal(t, 800, report.Keep)
		require.InDelta(t, 200/(timeout-delay).Seconds(), report.ClosesPerSecond, 0.01)
		sleepUntil(t, func() bool { return f.Open() == 900 })
		require.Equal(t, 50, f.resumable, "clients that miss nothing go first")
		require.False(t, hasEnded(m))
		sleepUntil(t, func() bool { return m.State() == contract.StateServing })
		require.Equal(t, 800, f.Open())
		require.Zero(t, f.resumable)
		require.True(t, m.Ready())
		require.True(t, f.gate.Accepting())
		require.True(t, f.gate.Serving())
		require.InDelta(t, timeout.Seconds(), time.Since(start).Seconds(), 2, "the closes are spread over the whole time")
		time.Sleep(time.Minute)
		require.InDelta(t, 60, m.LastPartial().SecondsAgo, 1)
		require.Equal(t, 800, f.Open())
	})
}

func TestStopWaitsForADrainThatWasReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := make(chan struct{})
		m, _ := newMachine(1000, 0, func(o *drain.Options) { o.Closed = func(int, bool) { <-held } })
		m.Start(drain.Request{Keep: 100, Timeout: timeout})
		time.Sleep(time.Minute)
		synctest.Wait()
		m.Start(drain.Request{Timeout: timeout})
		var stopped atomic.Bool
		go func() {
			m.Stop()
			stopped.Store(true)
		}()
		synctest.Wait()
		require.False(t, stopped.Load(), "the partial drain still closes connections")
		close(held)
		synctest.Wait()
		require.True(t, stopped.Load())
	})
}

func TestPartialDrainClosesNothingAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(1000, 0)
		m.Start(drain.Request{Keep: 100, Timeout: time.Minute, PerSecond: 2})
		sleepUntil(t, func() bool { return m.State() == contract.StateServing })
		require.InDelta(t, 900, f.Open(), 5)
		require.False(t, hasEnded(m), "it did not get that far")
		require.False(t, f.aborted)
		require.NotNil(t, m.LastPartial())
	})
}

func TestPartialDrainWaitsForAnotherGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(1000, 0, withOthers(func() (bool, error) { return false, nil }))
		start := time.Now()
		m.Start(drain.Request{Keep: 100})
		sleepUntil(t, func() bool {
			require.True(t, m.Ready())
			return m.State() == contract.StateServing
		})
		require.Equal(t, 1000, f.Open(), "they would find no other gateway")
		require.InDelta(t, timeout.Seconds(), time.Since(start).Seconds(), 2)
	})
}

// A gateway that hands clients over keeps the rest when it has become the last one, and one that does not know of
// others keeps all.
func TestPartialDrainEndsWhenNoOtherServesAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone atomic.Bool
		m, f := newMachine(1000, 0, withOthers(func() (bool, error) { return !gone.Load(), nil }))
		m.Start(drain.Request{Keep: 100})
		time.Sleep(time.Minute)
		require.False(t, m.Ready())
		gone.Store(true)
		sleepUntil(t, m.Ready)
		open := f.Open()
		require.Greater(t, open, 800)
		require.True(t, f.gate.Accepting())
		time.Sleep(timeout)
		require.Equal(t, open, f.Open())
		require.False(t, hasEnded(m))
		require.NotNil(t, m.LastPartial())

		unknown, f := newMachine(1000, 0, func(o *drain.Options) { o.AnotherServes = nil })
		unknown.Start(drain.Request{Keep: 100})
		sleepUntil(t, func() bool {
			require.True(t, unknown.Ready())
			return unknown.State() == contract.StateServing
		})
		require.Equal(t, 1000, f.Open())
	})
}

func TestSmallestRateClosesOneConnection(t *testing.T) {
	now := time.Now()
	p := drain.Pace{From: now, Deadline: now.Add(time.Hour), Rate: 1e-300}
	require.Equal(t, drain.Step{Close: 1, Wait: time.Hour}, p.Next(now, 1000))
}

func TestPartialDrainWithFewerConnectionsEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(100, 0)
		m.Start(drain.Request{Keep: 100})
		synctest.Wait()
		require.Equal(t, contract.StateServing, m.State())
		require.Equal(t, 100, f.Open())
		require.True(t, hasEnded(m))
	})
}

func TestWholeDrainTakesThePlaceOfAPartialOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(1000, 0)
		m.Start(drain.Request{Reason: "rebalance", Keep: 800})
		time.Sleep(timeout / 2)
		m.Start(drain.Request{Reason: "preStop"})
		start := time.Now()
		m.Start(drain.Request{Reason: "SIGTERM", Final: true})
		require.False(t, m.Ready(), "it was not ready before")
		require.Equal(t, "preStop", m.Report().Reason)
		require.Zero(t, m.Report().Keep)
		m.Start(drain.Request{Reason: "rebalance", Keep: 800, PerSecond: 1})
		require.Zero(t, m.Report().Keep, "a whole drain stays one")
		<-m.Ended()
		require.Zero(t, f.Open())
		require.Equal(t, contract.StateDrained, m.State())
		require.InDelta(t, timeout.Seconds(), time.Since(start).Seconds(), 2, "it has its whole time")
		require.Zero(t, m.Report().Forced)
		require.False(t, hasEnded(m))
	})
}

func TestPartialDrainIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(1000, 0)
		m.Start(drain.Request{Keep: 800})
		time.Sleep(timeout / 2)
		require.NoError(t, m.Undrain())
		open := f.Open()
		require.Greater(t, open, 800)
		time.Sleep(timeout)
		require.Equal(t, open, f.Open())
		require.True(t, m.Ready())
		require.False(t, hasEnded(m))
	})
}
