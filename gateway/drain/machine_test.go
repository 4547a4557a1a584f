package drain_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/drain"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// fakeConnections are connections that end some time after they begin to close.
type fakeConnections struct {
	mu        sync.Mutex
	remaining int
	closing   int
	// resumable is how many of the remaining connections are of clients that miss nothing.
	resumable int
	// opened holds when the latest of the remaining connections were opened, the first one first.
	opened []time.Time
	// answerDelay is how long a client takes to answer a close frame. If it is negative, it never does.
	answerDelay time.Duration
	gate        *drain.Gate
	aborted     bool
}

func (f *fakeConnections) Open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.remaining + f.closing
}

func (f *fakeConnections) Remaining() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.remaining
}

func (f *fakeConnections) CloseSome(n int, openedUntil time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	closable := f.remaining
	if !openedUntil.IsZero() {
		for _, at := range f.opened {
			if at.After(openedUntil) {
				closable--
			}
		}
	}
	n = min(n, closable)
	f.remaining -= n
	f.opened = f.opened[:min(len(f.opened), f.remaining)]
	f.closing += n
	if f.answerDelay >= 0 {
		time.AfterFunc(f.answerDelay, func() { f.ended(n) })
	}
	return n
}

func (f *fakeConnections) CloseResumable(n int, openedUntil time.Time) int {
	f.mu.Lock()
	n = min(n, f.resumable)
	f.resumable -= n
	f.mu.Unlock()
	return f.CloseSome(n, openedUntil)
}

func (f *fakeConnections) ended(n int) {
	f.mu.Lock()
	f.closing -= n
	f.mu.Unlock()
	f.gate.Notify()
}

func (f *fakeConnections) Abort() {
	f.mu.Lock()
	f.aborted = true
	f.closing, f.remaining = 0, 0
	f.mu.Unlock()
	f.gate.Notify()
}

// connect opens a connection.
func (f *fakeConnections) connect() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remaining++
	f.opened = append(f.opened, time.Now())
}

func (f *fakeConnections) disconnect(n int) {
	f.mu.Lock()
	f.remaining -= n
	f.mu.Unlock()
	f.gate.Notify()
}

const (
	timeout      = 5 * time.Minute
	delay        = 10 * time.Second
	closeTimeout = 5 * time.Second
)

// newMachine returns a machine that serves, with some connections.
func newMachine(connections int, answerDelay time.Duration,
	change ...func(*drain.Options)) (*drain.Machine, *fakeConnections) {
	f := &fakeConnections{remaining: connections, answerDelay: answerDelay, gate: drain.NewGate()}
	o := drain.Options{
		Timeout:          timeout,
		PropagationDelay: delay,
		CloseTimeout:     closeTimeout,
		AnotherServes:    func(context.Context) (bool, error) { return true, nil },
		Gate:             f.gate,
		Connections:      f,
		Closed:           func(int, bool) {},
		Logger:           slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&o)
	}
	return drain.New(o), f
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

func TestMachineGoesThroughItsStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(290, time.Second)
		require.Equal(t, contract.StateServing, m.State())
		require.Nil(t, m.Report())
		start := time.Now()

		m.Start(drain.Request{Reason: "preStop"})
		time.Sleep(delay - time.Millisecond)
		require.Equal(t, contract.StateDraining, m.State())
		require.True(t, f.gate.Accepting(), "load balancers still send clients")
		require.Equal(t, 290, f.Remaining())

		time.Sleep(2 * time.Millisecond)
		require.False(t, f.gate.Accepting())
		time.Sleep(145 * time.Second)
		require.InDelta(t, 145, f.Remaining(), 3, "half of the time, half of the clients")

		time.Sleep(time.Until(start.Add(timeout)) + time.Second)
		synctest.Wait()
		require.Equal(t, contract.StateDrained, m.State())
		require.Equal(t, contract.DrainReport{
			Reason:    "preStop",
			StartedAt: start,
			Deadline:  start.Add(timeout),
			Closed:    290,
		},
			*m.Report())
		require.False(t, ended(m), "the drain is not final")

		m.Start(drain.Request{Reason: "SIGTERM", Final: true})
		require.True(t, ended(m))
	})
}

func TestMachineStartKeepsTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newMachine(10, 0)
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

func TestMachineAbortsSlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(100, -1)
		m.Start(drain.Request{Reason: "SIGTERM", Final: true})
		time.Sleep(timeout - time.Second)
		synctest.Wait()
		require.Zero(t, f.Remaining(), "all are closing, though none has answered")
		require.Equal(t, 100, f.Open())
		time.Sleep(closeTimeout + 2*time.Second)
		require.True(t, ended(m))
		require.True(t, f.aborted)
	})
}

func TestMachineForcesWhatIsLeftAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := map[bool]int{}
		m, _ := newMachine(1000, 0, func(o *drain.Options) {
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

func TestMachineUndrainReturnsToServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(100, 0)
		m.Start(drain.Request{Reason: "scale-in"})
		time.Sleep(time.Minute)
		require.NoError(t, m.Undrain())
		require.Equal(t, contract.StateServing, m.State())
		require.True(t, f.gate.Accepting())
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

func TestMachineUndrainAfterTheDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newMachine(0, 0)
		m.Start(drain.Request{Reason: "scale-in"})
		time.Sleep(delay + time.Second)
		synctest.Wait()
		require.Equal(t, contract.StateDrained, m.State())
		require.NoError(t, m.Undrain())
		require.Equal(t, contract.StateServing, m.State())
	})
}

// The drain of an operator that never comes back is undone by itself.
func TestMachineServesAgain(t *testing.T) {
	again := drain.Request{Reason: "scale-in", ServeAgain: true}
	for _, c := range []struct {
		name string
		// then are further requests, one a minute.
		then        []func(*drain.Machine)
		connections int
		want        contract.State
	}{
		{"drained", nil, 3, contract.StateServing},
		{"without clients", nil, 0, contract.StateServing},
		{"asked again", []func(*drain.Machine){func(m *drain.Machine) { m.Start(again) }}, 3, contract.StateServing},
		{"joined", []func(*drain.Machine){func(m *drain.Machine) { _ = m.Join(drain.Request{HandOver: true}) }}, 3,
			contract.StateServing},
		{"final", []func(*drain.Machine){func(m *drain.Machine) { m.Start(drain.Request{Final: true}) }}, 3,
			contract.StateDrained},
		{"by hand as well", []func(*drain.Machine){func(m *drain.Machine) { m.Start(drain.Request{Reason: "admin"}) }}, 3,
			contract.StateDrained},
		{"undone, and by hand", []func(*drain.Machine){
			func(m *drain.Machine) { _ = m.Undrain() },
			func(m *drain.Machine) { m.Start(drain.Request{Reason: "admin"}) },
		}, 3, contract.StateDrained},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				m, f := newMachine(c.connections, 0)
				m.Start(again)
				for _, request := range c.then {
					time.Sleep(time.Minute)
					request(m)
				}
				time.Sleep(time.Until(start.Add(timeout + 29*time.Second)))
				synctest.Wait()
				require.Equal(t, contract.StateDrained, m.State(), "whoever asked may still delete the pod")
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if c.name == "undone, and by hand" {
					time.Sleep(2 * time.Minute)
					synctest.Wait()
				}
				require.Equal(t, c.want, m.State())
				require.Equal(t, c.want == contract.StateServing, m.Ready() && f.gate.Accepting())
				m.Stop()
			})
		})
	}
}

// A request sets the pace of a drain, also of one that is under way, within the configured one. Without any, the closes
// are spread over the time that is left.
func TestMachineTakesOverThePace(t *testing.T) {
	for _, c := range []struct {
		configured        int
		first, then, want float64
	}{
		{0, 0, 0, 0}, {0, 5, 0, 5}, {0, 5, 2, 2}, {0, 2, 5, 5}, {3, 0, 0, 3}, {3, 5, 0, 3}, {3, 2, 0, 2}, {3, 2, 9, 3},
		{0, 0, 4, 4}, {0, 500, 0, 500}, {100, 500, 0, 100}, {0, 3, 700, 700},
	} {
		synctest.Test(t, func(t *testing.T) {
			m, f := newMachine(10_000, 0, func(o *drain.Options) { o.MaxPerSecond = c.configured })
			m.Start(drain.Request{Reason: "test", PerSecond: c.first})
			time.Sleep(delay + time.Second)
			require.NoError(t, m.Join(drain.Request{PerSecond: c.then}))
			time.Sleep(time.Second)
			synctest.Wait()
			before := f.Remaining()
			rate := m.Report().ClosesPerSecond
			if c.want > 0 {
				require.InDelta(t, c.want, rate, float64(c.want)/100)
			} else {
				require.InDelta(t, 10_000/(timeout-delay).Seconds(), rate, 1)
			}
			time.Sleep(10 * time.Second)
			require.InDelta(t, 10*rate, before-f.Remaining(), rate/2+1, "%+v", c)
			m.Stop()
		})
	}
}

// A gateway with few clients does not wait for the end of the interval that it had before.
func TestMachineTakesOverThePaceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(4, 0)
		m.Start(drain.Request{Reason: "test"})
		time.Sleep(delay + time.Second)
		synctest.Wait()
		require.Equal(t, 3, f.Remaining(), "one is closed, and the next one is due in more than a minute")
		require.NoError(t, m.Join(drain.Request{PerSecond: 500}))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Zero(t, f.Remaining())
		m.Stop()
	})
}

func TestMachineWaitsForLoadBalancersUnlessTheDelayIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(0, 0)
		m.Start(drain.Request{Reason: "SIGTERM", Final: true})
		time.Sleep(delay - time.Second)
		require.False(t, ended(m), "load balancers may still send clients")
		m.Start(drain.Request{Reason: "SIGINT", Final: true, SkipDelayIfIdle: true})
		require.True(t, ended(m))
		require.False(t, f.gate.Accepting())
	})
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(1, 0)
		m.Start(drain.Request{Reason: "SIGINT", Final: true, SkipDelayIfIdle: true})
		time.Sleep(time.Second)
		require.False(t, ended(m))
		f.disconnect(1)
		require.True(t, ended(m))
	})
}

// A client that a draining gateway has accepted stays for 5 s, and is closed soon after them.
func TestMachineSparesClientsThatWereJustAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(0, 0)
		m.Start(drain.Request{Reason: "SIGTERM", Final: true})
		time.Sleep(delay - time.Second)
		f.connect()
		f.connect()
		time.Sleep(4900 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, 2, f.Remaining())
		time.Sleep(1200 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, 1, f.Remaining(), "the pace of the drain closes one after the other")
		time.Sleep(timeout)
		require.True(t, ended(m))
		require.Zero(t, m.Report().Forced)
	})
}

func TestMachineClosesClientsFromBeforeTheDrainWhateverTheirAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(0, 0, func(o *drain.Options) { o.PropagationDelay = 0 })
		f.connect()
		time.Sleep(time.Millisecond)
		m.Start(drain.Request{Reason: "SIGTERM", Final: true})
		time.Sleep(time.Millisecond)
		require.True(t, ended(m))
		require.Zero(t, m.Report().Forced)
	})
}

func TestMachineSparesNoClientAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(0, 0, func(o *drain.Options) { o.Timeout, o.PropagationDelay = 4*time.Second, 2*time.Second })
		m.Start(drain.Request{Reason: "SIGTERM", Final: true})
		time.Sleep(time.Second)
		f.connect()
		time.Sleep(2900 * time.Millisecond)
		require.Equal(t, 1, f.Remaining())
		time.Sleep(200 * time.Millisecond)
		require.True(t, ended(m))
		require.Equal(t, 1, m.Report().Forced)
	})
}

func TestMachineClosesAtOnceWithoutATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newMachine(100, 0, func(o *drain.Options) { o.Timeout = 0 })
		m.Start(drain.Request{Reason: "SIGTERM", Final: true})
		require.True(t, ended(m))
		require.Equal(t, 100, m.Report().Closed)
		require.Zero(t, m.Report().Forced)
	})
}

func TestMachineStartWithATimeoutLeavesTimeToClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newMachine(10, 0)
		m.Start(drain.Request{Reason: "admin", Timeout: 4 * time.Second})
		time.Sleep(4 * time.Second)
		synctest.Wait()
		require.Equal(t, contract.StateDrained, m.State())
		require.Equal(t, 10, m.Report().Closed)
		require.Zero(t, m.Report().Forced)
	})
}

func TestGateKnowsWhetherAnotherGatewayServes(t *testing.T) {
	for name, c := range map[string]struct {
		others   func(context.Context) (bool, error)
		handOver bool
		want     bool
	}{
		"another one serves":    {func(context.Context) (bool, error) { return true, nil }, false, true},
		"none serves":           {func(context.Context) (bool, error) { return false, nil }, false, false},
		"not known":             {nil, false, false},
		"told by the operator":  {nil, true, true},
		"told, and none serves": {func(context.Context) (bool, error) { return false, nil }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, f := newMachine(1, -1, func(o *drain.Options) { o.AnotherServes = c.others })
				require.False(t, f.gate.AnotherServes())
				m.Start(drain.Request{Reason: "scale-in", HandOver: c.handOver})
				time.Sleep(2 * delay)
				require.Equal(t, c.want, f.gate.AnotherServes())
				require.NoError(t, m.Undrain())
				require.False(t, f.gate.AnotherServes())
				m.Stop()
			})
		})
	}
}

// A drain that is too short to wait for an answer hands its clients over first.
func TestGateLearnsLateThatAnotherGatewayServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		m, f := newMachine(1, -1, func(o *drain.Options) {
			o.Timeout, o.PropagationDelay = 10*time.Second, 5*time.Second
			o.AnotherServes = func(context.Context) (bool, error) { asked++; return asked > 2, nil }
		})
		m.Start(drain.Request{Reason: "SIGTERM"})
		time.Sleep(1500 * time.Millisecond)
		require.False(t, m.Ready())
		require.False(t, f.gate.AnotherServes())
		time.Sleep(time.Second)
		require.True(t, f.gate.AnotherServes())
		require.NoError(t, m.Undrain())
		require.Equal(t, 3, asked)
		m.Stop()
	})
}

func TestGateStaysShut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newMachine(1, 0)
		require.True(t, f.gate.Accepting())
		m.Start(drain.Request{Reason: "scale-in"})
		time.Sleep(delay)
		require.False(t, f.gate.Accepting())
		f.gate.Shut()
		require.NoError(t, m.Undrain())
		require.False(t, f.gate.Accepting(), "the process ends")
		m.Stop()
	})
}
