package drain_test

import (
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/drain"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// fleet is connections that end some time after they were asked to.
type fleet struct {
	mu        sync.Mutex
	remaining int
	closing   int
	// linger is how long a peer takes to answer; negative: it never does.
	linger  time.Duration
	machine *drain.Machine
	aborted bool
}

func (f *fleet) Open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.remaining + f.closing
}

func (f *fleet) Remaining() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.remaining
}

func (f *fleet) CloseSome(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n = min(n, f.remaining)
	f.remaining -= n
	f.closing += n
	if f.linger >= 0 {
		time.AfterFunc(f.linger, func() { f.ended(n) })
	}
	return n
}

func (f *fleet) ended(n int) {
	f.mu.Lock()
	f.closing -= n
	f.mu.Unlock()
	f.machine.Notify()
}

func (f *fleet) Abort() {
	f.mu.Lock()
	f.aborted = true
	f.closing, f.remaining = 0, 0
	f.mu.Unlock()
	f.machine.Notify()
}

func (f *fleet) leave(n int) {
	f.mu.Lock()
	f.remaining -= n
	f.mu.Unlock()
	f.machine.Notify()
}

const (
	timeout = 5 * time.Minute
	delay   = 10 * time.Second
	grace   = 5 * time.Second
)

func machine(connections int, linger time.Duration, change ...func(*drain.Options)) (*drain.Machine, *fleet) {
	f := &fleet{remaining: connections, linger: linger}
	o := drain.Options{
		Timeout:          timeout,
		PropagationDelay: delay,
		CloseTimeout:     grace,
		Connections:      f,
		Closed:           func(int, bool) {},
		Logger:           slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&o)
	}
	m := drain.New(o)
	f.machine = m
	return m, f
}

// ended reports whether a final drain is over.
func ended(m *drain.Machine) bool {
	synctest.Wait()
	select {
	case <-m.Ended():
		return true
	default:
		return false
	}
}

func TestDrainGoesThroughItsStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := machine(290, time.Second)
		require.Equal(t, contract.StateServing, m.State())
		require.Nil(t, m.Report())
		start := time.Now()

		m.Start(drain.Request{Reason: "preStop"})
		time.Sleep(delay - time.Millisecond)
		require.Equal(t, contract.StateDraining, m.State())
		require.True(t, m.Accepting(), "load balancers still send clients")
		require.Equal(t, 290, f.Remaining())

		time.Sleep(2 * time.Millisecond)
		require.False(t, m.Accepting())
		time.Sleep(145 * time.Second)
		require.InDelta(t, 145, f.Remaining(), 3, "half of the time, half of the clients")

		time.Sleep(time.Until(start.Add(timeout)) + time.Second)
		synctest.Wait()
		require.Equal(t, contract.StateDrained, m.State())
		require.Equal(t, contract.DrainReport{Reason: "preStop", StartedAt: start, Deadline: start.Add(timeout), Closed: 290},
			*m.Report())
		require.False(t, ended(m), "nobody told the process to end")

		m.Start(drain.Request{Reason: "SIGTERM", Final: true})
		require.True(t, ended(m))
	})
}

func TestTwoDrainsShareOneDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := machine(10, 0)
		m.Start(drain.Request{Reason: "preStop"})
		deadline := m.Report().Deadline
		time.Sleep(time.Minute)
		m.Start(drain.Request{Reason: "SIGTERM", Final: true})
		require.Equal(t, deadline, m.Report().Deadline)
		time.Sleep(time.Until(deadline))
		require.True(t, ended(m))
		require.Equal(t, 10, m.Report().Closed)
	})
}

func TestSlowPeersHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := machine(100, -1)
		m.Start(drain.Request{Reason: "SIGTERM", Final: true})
		time.Sleep(timeout - time.Second)
		synctest.Wait()
		require.Zero(t, f.Remaining(), "all were asked, though none has answered")
		require.Equal(t, 100, f.Open())
		time.Sleep(grace + 2*time.Second)
		require.True(t, ended(m))
		require.True(t, f.aborted)
	})
}

func TestWhatIsLeftAtTheDeadlineIsForced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := map[bool]int{}
		m, _ := machine(1000, 0, func(o *drain.Options) {
			o.MaxPerSecond = 1
			o.Closed = func(n int, forced bool) { counted[forced] += n }
		})
		m.Start(drain.Request{Reason: "SIGTERM", Final: true})
		time.Sleep(timeout + time.Second)
		require.True(t, ended(m))
		require.Equal(t, 1000, m.Report().Closed+m.Report().Forced)
		require.InDelta(t, 290, m.Report().Closed, 2)
		require.Equal(t, map[bool]int{false: m.Report().Closed, true: m.Report().Forced}, counted)
	})
}

func TestUndrainReturnsToServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := machine(100, 0)
		m.Start(drain.Request{Reason: "scale-in"})
		time.Sleep(time.Minute)
		require.NoError(t, m.Undrain())
		require.Equal(t, contract.StateServing, m.State())
		require.True(t, m.Accepting())
		left := f.Remaining()
		time.Sleep(timeout)
		require.Equal(t, left, f.Remaining())
		require.NoError(t, m.Undrain(), "twice is no error")

		m.Start(drain.Request{Reason: "SIGTERM", Final: true})
		require.ErrorIs(t, m.Undrain(), drain.ErrFinal)
		time.Sleep(timeout)
		require.True(t, ended(m))
	})
}

func TestDrainedGatewayCanReturnUnlessTheProcessEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := machine(0, 0)
		m.Start(drain.Request{Reason: "scale-in"})
		time.Sleep(delay + time.Second)
		synctest.Wait()
		require.Equal(t, contract.StateDrained, m.State())
		require.NoError(t, m.Undrain())
		require.Equal(t, contract.StateServing, m.State())
	})
}

func TestEmptyGatewayWaitsForLoadBalancersUnlessSomebodySitsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := machine(0, 0)
		m.Start(drain.Request{Reason: "SIGTERM", Final: true})
		time.Sleep(delay - time.Second)
		require.False(t, ended(m), "clients may still be sent here")
		m.Start(drain.Request{Reason: "SIGINT", Final: true, SkipDelayIfIdle: true})
		require.True(t, ended(m))
		require.False(t, m.Accepting())
	})
	synctest.Test(t, func(t *testing.T) {
		m, f := machine(1, 0)
		m.Start(drain.Request{Reason: "SIGINT", Final: true, SkipDelayIfIdle: true})
		time.Sleep(time.Second)
		require.False(t, ended(m))
		f.leave(1)
		require.True(t, ended(m))
	})
}

func TestZeroTimeoutClosesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := machine(100, 0, func(o *drain.Options) { o.Timeout = 0 })
		m.Start(drain.Request{Reason: "SIGTERM", Final: true})
		require.True(t, ended(m))
		require.Equal(t, 100, m.Report().Closed)
		require.Zero(t, m.Report().Forced)
	})
}

func TestRequestedTimeoutLeavesTimeToClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := machine(10, 0)
		m.Start(drain.Request{Reason: "admin", Timeout: 4 * time.Second})
		time.Sleep(4 * time.Second)
		synctest.Wait()
		require.Equal(t, contract.StateDrained, m.State())
		require.Equal(t, 10, m.Report().Closed)
		require.Zero(t, m.Report().Forced)
	})
}
