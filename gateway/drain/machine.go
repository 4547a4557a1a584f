// Package drain takes a gateway out of service without a reconnect storm. Its state machine is the one
// way to drain: package gateway starts it for preStop, for signals and for the admin port. The states are
// serving, draining and drained, and an undrain leads back to serving. handover.go decides when a draining
// gateway stops being ready, which the last one of a fleet does only when another one serves. partial.go ends drains
// that leave a part of the connections open. Pace is the arithmetic of when to close how many connections.
package drain

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Connections are the connections of the gateway that drains.
type Connections interface {
	// Open returns the number of connections, those that are closing included.
	Open() int
	// Remaining returns the number of connections that are not closing.
	Remaining() int
	// CloseSome begins to close up to n connections, and returns how many. Unless openedUntil is zero, it spares those
	// that were opened after it.
	CloseSome(n int, openedUntil time.Time) int
	// CloseResumable is CloseSome for the clients that miss nothing while they are away.
	CloseResumable(n int, openedUntil time.Time) int
	// Abort ends all connections without a closing handshake.
	Abort()
}

// Options configure a Machine.
type Options struct {
	// Timeout is the duration of a drain, the propagation delay included.
	Timeout time.Duration
	// PropagationDelay is how long load balancers may still send clients after readiness has failed. New
	// connections are accepted and none is closed during this time.
	PropagationDelay time.Duration
	// MaxPerSecond is the maximum number of connections to close per second; 0 is no limit.
	MaxPerSecond int
	// CloseTimeout is how long a client may take to answer a close frame.
	CloseTimeout time.Duration
	// AnotherServes reports whether another gateway of the fleet serves, or an error when that is not known. It
	// blocks no longer than its context. nil means that it is never known.
	AnotherServes func(context.Context) (bool, error)
	// Gate is told from when on no connection is accepted. nil means a gate of the machine's own.
	Gate *Gate
	// Connections are what the drain closes.
	Connections Connections
	// Closed counts connections that the drain closed. forced reports that the deadline had passed.
	Closed func(n int, forced bool)
	Logger *slog.Logger
}

var (
	// ErrFinal is the error of an undrain after a final drain began.
	ErrFinal = errors.New("the process is ending: this drain cannot be undone")
	// ErrServing is the error of a request to join a drain when there is none.
	ErrServing = errors.New("the gateway does not drain: there is no drain to join")
)

// Machine is the state machine of a gateway's drain. It is safe for concurrent use. Its lock may be held
// while Options.Connections is called.
type Machine struct {
	options Options
	// ended is closed when a final drain is over.
	ended chan struct{}

	// mu guards the fields below, and the mutable fields of current.
	mu    sync.Mutex
	state contract.State
	// current is nil while the gateway serves.
	current *run
	// lastPartial is how the last partial drain ended, or nil when there was none.
	lastPartial *partialEnd
	// stopped reports that the process ends, so that no drain may begin.
	stopped bool
	// drains are the goroutines of the drains, of which one that was replaced may still be ending.
	drains sync.WaitGroup
}

// run is one drain, from its start to its end or the undrain.
type run struct {
	// pace begins at the deadline until the clients are handed over.
	pace     Pace
	schedule schedule
	report   contract.DrainReport
	// others is what is known of the other gateways.
	others knowledge
	// handedOver reports that readiness fails.
	handedOver bool
	// keep is the number of connections that a partial drain leaves open, or 0.
	keep int
	// noneResumes reports that a partial drain has closed all clients that miss nothing while they are away.
	noneResumes bool
	// final reports that the process ends after this drain.
	final bool
	// skipDelayIfIdle reports that the propagation delay is skipped without connections.
	skipDelayIfIdle bool
	// paceChanged reports that the next step must not wait for the interval of an earlier pace.
	paceChanged bool
	// serveAgain reports that the drain is undone serveAgainAfter its deadline.
	serveAgain bool
	// cancel closes canceled. It may be called several times.
	cancel   func()
	canceled chan struct{}
	// updated holds at most one token, which means that skipDelayIfIdle or others may have changed.
	updated chan struct{}
	// stopped is closed when the drain's goroutine has returned.
	stopped chan struct{}
}

// wake lets the drain's goroutine look again.
func (d *run) wake() {
	select {
	case d.updated <- struct{}{}:
	default:
	}
}

// New returns a machine in the state serving.
func New(o Options) *Machine {
	if o.Gate == nil {
		o.Gate = NewGate()
	}
	return &Machine{
		options: o,
		ended:   make(chan struct{}),
		state:   contract.StateServing,
	}
}

// Request asks for a drain.
type Request struct {
	// Reason says in the log and in the report what caused the drain.
	Reason string
	// Timeout replaces Options.Timeout unless it is 0.
	Timeout time.Duration
	// Final reports that the process ends after this drain. Such a drain cannot be undone.
	Final bool
	// SkipDelayIfIdle ends the drain at once when there are no connections. It is for a process that is
	// stopped in a terminal.
	SkipDelayIfIdle bool
	// HandOver asks for a drain that does not wait until another gateway of the fleet serves.
	HandOver bool
	// ServeAgain undoes the drain serveAgainAfter its deadline, unless it has become final.
	ServeAgain bool
	// PerSecond is the number of connections to close per second, within Options.MaxPerSecond; 0 changes nothing.
	PerSecond float64
	// Keep asks for a partial drain, which leaves so many connections open; 0 asks for a whole one. A whole drain that is
	// under way stays one, and takes the place of a partial one.
	Keep int
}

// serveAgainAfter is how long after its deadline a drain is undone whose request says so: the one that asked would have
// ended the process by then.
const serveAgainAfter = 30 * time.Second

// Start begins a drain, or joins the one that is under way as Join does. That one is undone by itself only if this
// request asks for it as well. A partial drain that is asked for changes nothing of a whole one. Start does
// nothing after Stop.
func (m *Machine) Start(r Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.stopped:
	case m.current == nil:
		m.begin(r, othersUnknown)
	case m.current.keep > 0 && r.Keep == 0:
		m.current.cancel()
		m.begin(r, m.current.others)
	case m.current.keep == 0 && r.Keep > 0:
		// It may be a request that has come late, and must not slow down what is to end.
	default:
		m.current.serveAgain = m.current.serveAgain && r.ServeAgain
		m.join(r)
	}
}

// Join changes the drain that is under way: it keeps its deadline, and takes over Final, SkipDelayIfIdle, HandOver and
// PerSecond if the request sets them. It returns ErrServing when there is no drain.
func (m *Machine) Join(r Request) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current == nil {
		return ErrServing
	}
	m.join(r)
	return nil
}

// join is Join for a caller that holds the lock.
func (m *Machine) join(r Request) {
	d := m.current
	d.final = d.final || r.Final
	d.skipDelayIfIdle = d.skipDelayIfIdle || r.SkipDelayIfIdle
	if r.HandOver {
		d.others = othersIrrelevant
		_ = m.handOver(d, time.Now())
	}
	if r.PerSecond > 0 && r.PerSecond != d.pace.Rate {
		d.pace.Rate, d.paceChanged = r.PerSecond, true
	}
	d.wake()
	if m.state == contract.StateDrained && d.final {
		m.end()
	}
}

// begin starts the goroutine of a new drain. others is what is known of the other gateways. The caller holds the lock.
func (m *Machine) begin(r Request, others knowledge) {
	now := time.Now()
	timeout, delay := m.times(r)
	canceled := make(chan struct{})
	d := &run{
		pace: Pace{
			From: now.Add(timeout), Deadline: now.Add(timeout), MaxPerSecond: m.options.MaxPerSecond, Rate: r.PerSecond,
		},
		schedule: schedule{started: now, deadline: now.Add(timeout), delay: delay},
		report: contract.DrainReport{
			Reason: r.Reason, StartedAt: now, Deadline: now.Add(timeout), Keep: r.Keep,
		},
		others:          others,
		keep:            r.Keep,
		final:           r.Final,
		skipDelayIfIdle: r.SkipDelayIfIdle,
		serveAgain:      r.ServeAgain,
		cancel:          sync.OnceFunc(func() { close(canceled) }),
		canceled:        canceled,
		updated:         make(chan struct{}, 1),
		stopped:         make(chan struct{}),
	}
	if r.HandOver {
		d.others = othersIrrelevant
	}
	m.state, m.current = contract.StateDraining, d
	m.options.Gate.setDraining(true)
	m.options.Logger.Info("drain started",
		slog.String("reason", r.Reason), slog.Int("connections", m.options.Connections.Open()), slog.Int("keep", r.Keep),
		slog.Duration("timeout", timeout), slog.Duration("propagationDelay", delay))
	_ = m.handOver(d, now)
	m.drains.Go(func() { m.drain(d) })
	if d.serveAgain {
		time.AfterFunc(timeout+serveAgainAfter, func() { m.serveAgain(d) })
	}
}

// serveAgain undoes a drain that was to be undone by itself, unless it has become final or is over.
func (m *Machine) serveAgain(d *run) {
	m.mu.Lock()
	if m.current != d || d.final || !d.serveAgain || m.stopped {
		m.mu.Unlock()
		return
	}
	m.options.Logger.Warn("the drain's deadline has passed and nothing ended the process: the gateway serves again",
		slog.String("reason", d.report.Reason))
	m.undo(d)
}

// times returns the duration of a drain, and how much of it is the propagation delay.
func (m *Machine) times(r Request) (timeout, delay time.Duration) {
	if r.Timeout == 0 {
		return m.options.Timeout, min(m.options.PropagationDelay, m.options.Timeout)
	}
	// A short drain on request must leave time to close connections.
	return r.Timeout, min(m.options.PropagationDelay, r.Timeout/2)
}

// Undrain returns to serving, and waits until the drain's goroutine has returned. It returns ErrFinal,
// and changes nothing, during and after a final drain.
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
	m.undo(d)
	return nil
}

// undo returns to serving from a drain. The caller holds the lock, which undo releases.
func (m *Machine) undo(d *run) {
	if d.keep > 0 {
		m.endPartial(time.Now(), false)
	}
	m.state, m.current = contract.StateServing, nil
	m.options.Gate.setDraining(false)
	d.cancel()
	m.mu.Unlock()
	<-d.stopped
	m.options.Logger.Info("drain undone", slog.Int("closed", d.report.Closed))
}

// Stop ends the drain that is under way, without a change of the state, and waits until all goroutines of drains have
// returned. The process ends: Start does nothing afterwards.
func (m *Machine) Stop() {
	m.mu.Lock()
	m.stopped = true
	if m.current != nil {
		m.current.cancel()
	}
	m.mu.Unlock()
	m.drains.Wait()
}

// State returns the current state.
func (m *Machine) State() contract.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

// Ready reports whether clients should connect: while the gateway serves, and in a drain until clients are handed over
// to another gateway.
func (m *Machine) Ready() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state == contract.StateServing || m.state == contract.StateDraining && !m.current.handedOver
}

// Report returns a copy of the current drain's report. It is nil while the gateway serves.
func (m *Machine) Report() *contract.DrainReport {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current == nil {
		return nil
	}
	report := m.current.report
	report.WaitsForAnother = m.state == contract.StateDraining && !m.current.handedOver
	now := time.Now()
	report.ClosesPerSecond = m.current.pace.PerSecond(now, m.left(m.current))
	report.SecondsLeft = m.current.pace.Left(now).Seconds()
	return &report
}

// Ended returns a channel that is closed when a final drain is over.
func (m *Machine) Ended() <-chan struct{} { return m.ended }

// end closes ended unless it is closed already. The caller holds the lock.
func (m *Machine) end() {
	select {
	case <-m.ended:
	default:
		close(m.ended)
	}
}

// drain is the goroutine of one drain. It carries out the steps of the pace until no connection is left.
func (m *Machine) drain(d *run) {
	defer close(d.stopped)
	if m.options.AnotherServes != nil {
		defer m.startAsking(d)()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	nextStep := d.report.StartedAt
	for {
		select {
		case <-d.canceled:
			return
		case <-d.updated:
		case <-m.options.Gate.changed:
		case <-timer.C:
		}
		now := time.Now()
		if m.finish(d, now) {
			return
		}
		pace, changed, wait := m.progress(d, now)
		if wait > 0 {
			timer.Reset(min(wait, idleWait))
			continue
		}
		// A connection that ended by itself must not speed up the others.
		if now.Before(nextStep) && !changed {
			continue
		}
		step := pace.Next(now, m.left(d))
		if m.close(d, step, now) < step.Close {
			// What is left was opened a moment ago, and may be closed soon.
			step.Wait = min(step.Wait, idleWait)
		}
		if now.After(pace.Deadline.Add(m.options.CloseTimeout)) {
			m.options.Connections.Abort()
		}
		nextStep = now.Add(step.Wait)
		timer.Reset(step.Wait)
	}
}

// minOpenTime is how long a client that a draining gateway has accepted stays connected, unless the deadline comes
// first. A client that is closed as soon as it is accepted may come back at once, again and again.
const minOpenTime = 5 * time.Second

// close carries out a step, and returns how many connections it began to close.
func (m *Machine) close(d *run, step Step, now time.Time) (n int) {
	if step.Close == 0 {
		return 0
	}
	var openedUntil time.Time
	if now.Before(d.schedule.deadline) {
		openedUntil = later(d.schedule.started, now.Add(-minOpenTime))
	}
	if d.keep > 0 && !d.noneResumes {
		n = m.options.Connections.CloseResumable(step.Close, openedUntil)
		d.noneResumes = n < step.Close
	}
	n += m.options.Connections.CloseSome(step.Close-n, openedUntil)
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
	return n
}

// finish ends a drain if no connection is left and none can arrive any more. It reports whether the drain is over:
// ended, undone, or replaced by another one.
func (m *Machine) finish(d *run, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current != d {
		return true
	}
	if d.keep > 0 {
		return m.finishPartial(d, now)
	}
	waiting := now.Before(d.pace.From) && !d.skipDelayIfIdle && !m.isUnused(d, now)
	if waiting || m.options.Connections.Open() > 0 {
		return false
	}
	m.state, d.handedOver = contract.StateDrained, true
	// Accept no more connections, even if the propagation delay was skipped.
	m.options.Gate.closeAt(now, d.othersTakeOver())
	m.options.Logger.Info("drained",
		slog.String("reason", d.report.Reason), slog.Int("closed", d.report.Closed),
		slog.Int("forced", d.report.Forced), slog.Duration("took", now.Sub(d.report.StartedAt)))
	if d.final {
		m.end()
	}
	return true
}
