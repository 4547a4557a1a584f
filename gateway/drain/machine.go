// Package drain takes a gateway out of service without a reconnect storm. One state machine serves
// preStop, signals and the admin port: serving -> draining -> drained, and back.
package drain

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Connections is the connections that a drain closes.
type Connections interface {
	// Open counts connections, Remaining those that nobody has begun to close.
	Open() int
	Remaining() int
	// CloseSome begins to close up to n and returns how many it found.
	CloseSome(n int) int
	// Abort ends all at once, without a word.
	Abort()
}

// Options are what a Machine is made of.
type Options struct {
	Timeout          time.Duration
	PropagationDelay time.Duration
	MaxPerSecond     int
	// CloseTimeout is how long a peer may take to answer a close frame.
	CloseTimeout time.Duration
	Connections  Connections
	// Closed counts connections that were closed.
	Closed func(n int, forced bool)
	Logger *slog.Logger
}

// ErrFinal is an undrain that comes too late: the process was told to end.
var ErrFinal = errors.New("the process is ending: this drain cannot be undone")

// Machine is where a gateway is in its life. It is safe for use by many goroutines.
type Machine struct {
	options Options
	// changed holds one token at most: a connection ended.
	changed chan struct{}
	// ended is closed when a final drain is over.
	ended chan struct{}

	mu      sync.Mutex
	state   contract.State
	current *run
	// stopped: the process ends, nothing may be begun.
	stopped bool
}

// run is one drain, from its start to the end or the undrain.
type run struct {
	pace   Pace
	report contract.DrainReport
	// final: the process ends after it. skipDelayIfIdle: it does not wait for load balancers when nobody is there.
	final, skipDelayIfIdle bool
	// cancel ends it early, as often as it is called; canceled is closed then.
	cancel   func()
	canceled chan struct{}
	// nudge holds one token at most: skipDelayIfIdle may have been set later.
	nudge   chan struct{}
	stopped chan struct{}
}

// New returns a machine that serves.
func New(o Options) *Machine {
	return &Machine{options: o, changed: make(chan struct{}, 1), ended: make(chan struct{}), state: contract.StateServing}
}

// Request is who wants a drain and how.
type Request struct {
	Reason string
	// Timeout replaces the configured one; 0 keeps it.
	Timeout time.Duration
	// Final: the process ends after this drain, and it cannot be undone.
	Final bool
	// SkipDelayIfIdle: somebody sits at the terminal. Without connections there is nothing to wait for.
	SkipDelayIfIdle bool
}

// Start begins a drain. One that is under way keeps its deadline, and becomes final or skipDelayIfIdle when
// the request is.
func (m *Machine) Start(r Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.stopped:
		return
	case m.current == nil:
		m.begin(r)
		return
	}
	d := m.current
	d.final = d.final || r.Final
	d.skipDelayIfIdle = d.skipDelayIfIdle || r.SkipDelayIfIdle
	select {
	case d.nudge <- struct{}{}:
	default:
	}
	if m.state == contract.StateDrained && d.final {
		m.end()
	}
}

// begin starts the goroutine of a new drain; the machine is locked.
func (m *Machine) begin(r Request) {
	now := time.Now()
	timeout := m.options.Timeout
	if r.Timeout > 0 {
		timeout = r.Timeout
	}
	// A short drain that was asked for must leave time to close somebody in.
	delay := min(m.options.PropagationDelay, timeout/2)
	if r.Timeout == 0 {
		delay = min(m.options.PropagationDelay, timeout)
	}
	canceled := make(chan struct{})
	d := &run{
		pace:            Pace{From: now.Add(delay), Deadline: now.Add(timeout), MaxPerSecond: m.options.MaxPerSecond},
		report:          contract.DrainReport{Reason: r.Reason, StartedAt: now, Deadline: now.Add(timeout)},
		final:           r.Final,
		skipDelayIfIdle: r.SkipDelayIfIdle,
		cancel:          sync.OnceFunc(func() { close(canceled) }),
		canceled:        canceled,
		nudge:           make(chan struct{}, 1),
		stopped:         make(chan struct{}),
	}
	m.state, m.current = contract.StateDraining, d
	m.options.Logger.Info("drain started", slog.String("reason", r.Reason),
		slog.Int("connections", m.options.Connections.Open()), slog.Duration("timeout", timeout),
		slog.Duration("propagationDelay", delay))
	go m.drain(d)
}

// Undrain returns to serving, unless the process is ending.
func (m *Machine) Undrain() error {
	m.mu.Lock()
	d := m.current
	if d == nil {
		m.mu.Unlock()
		return nil
	}
	if d.final {
		m.mu.Unlock()
		return ErrFinal
	}
	m.state, m.current = contract.StateServing, nil
	d.cancel()
	m.mu.Unlock()
	<-d.stopped
	m.options.Logger.Info("drain undone", slog.Int("closed", d.report.Closed))
	return nil
}

// Stop leaves whatever goes on as it is, for good. The process ends.
func (m *Machine) Stop() {
	m.mu.Lock()
	m.stopped = true
	d := m.current
	m.mu.Unlock()
	if d != nil {
		d.cancel()
		<-d.stopped
	}
}

// Notify tells the machine that a connection ended. It does not block.
func (m *Machine) Notify() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// State is where the gateway is.
func (m *Machine) State() contract.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

// Accepting reports whether new connections are let in: load balancers go on sending them for a
// while after a drain began.
func (m *Machine) Accepting() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.current == nil || time.Now().Before(m.current.pace.From)
}

// Report is nil while the gateway serves.
func (m *Machine) Report() *contract.DrainReport {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current == nil {
		return nil
	}
	return new(m.current.report)
}

// Ended is closed when a final drain is over.
func (m *Machine) Ended() <-chan struct{} { return m.ended }

// end closes ended once; the machine is locked.
func (m *Machine) end() {
	select {
	case <-m.ended:
	default:
		close(m.ended)
	}
}

// drain does what the pace decides until nobody is left.
func (m *Machine) drain(d *run) {
	defer close(d.stopped)
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := d.report.StartedAt
	for {
		select {
		case <-d.canceled:
			return
		case <-d.nudge:
		case <-m.changed:
		case <-timer.C:
		}
		now := time.Now()
		if m.finished(d, now) {
			return
		}
		// A connection that ended by itself must not speed up the others.
		if now.Before(next) {
			continue
		}
		step := d.pace.Next(now, m.options.Connections.Remaining())
		m.close(d, step)
		if now.After(d.pace.Deadline.Add(m.options.CloseTimeout)) {
			m.options.Connections.Abort()
		}
		next = now.Add(step.Wait)
		timer.Reset(step.Wait)
	}
}

// close carries out a step.
func (m *Machine) close(d *run, step Step) {
	if step.Close == 0 {
		return
	}
	n := m.options.Connections.CloseSome(step.Close)
	m.mu.Lock()
	if step.Forced {
		d.report.Forced += n
	} else {
		d.report.Closed += n
	}
	m.mu.Unlock()
	m.options.Closed(n, step.Forced)
	if step.Forced && n > 0 {
		m.options.Logger.Warn("drain deadline passed, closing what is left", slog.Int("connections", n))
	}
}

// finished ends a drain when nobody is left and nobody is still being sent here.
func (m *Machine) finished(d *run, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	waiting := now.Before(d.pace.From) && !d.skipDelayIfIdle
	if m.current != d || waiting || m.options.Connections.Open() > 0 {
		return false
	}
	m.state = contract.StateDrained
	// From here on nobody is let in, even when a skipDelayIfIdle drain ended before the delay was over.
	d.pace.From = now
	m.options.Logger.Info("drained", slog.String("reason", d.report.Reason), slog.Int("closed", d.report.Closed),
		slog.Int("forced", d.report.Forced), slog.Duration("took", now.Sub(d.report.StartedAt)))
	if d.final {
		m.end()
	}
	return true
}
