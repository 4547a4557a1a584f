package drain

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// knowledge is what a draining gateway knows of the others.
type knowledge int

const (
	// othersUnknown means that there is no way to know whether another gateway serves.
	othersUnknown knowledge = iota
	// anotherServes means that clients find another gateway.
	anotherServes
	// noOtherServes means that clients would find no gateway: this one is the last.
	noOtherServes
	// othersIrrelevant means that a request asked not to wait for others.
	othersIrrelevant
)

// String returns the knowledge in words for the log.
func (k knowledge) String() string {
	switch k {
	case anotherServes:
		return "another one serves"
	case noOtherServes:
		return "none serves"
	case othersIrrelevant:
		return "not to be waited for"
	default:
		return "not known"
	}
}

const (
	// lastReserve is how long before the deadline the last gateway stops waiting for another one, and closes its
	// connections.
	lastReserve = 15 * time.Second
	// othersInterval is the time between two questions whether another gateway serves.
	othersInterval = time.Second
)

// schedule is what the time of a drain's handover is made from.
type schedule struct {
	started, deadline time.Time
	// delay is the propagation delay.
	delay time.Duration
}

// handover returns when readiness fails, as far as is known now, and from when connections are closed and refused then.
//
// Once another gateway serves, readiness fails at once, and connections are closed after the propagation delay. The
// last gateway waits until the reserve before the deadline: clients that it sends away, or does not accept, would find
// no other one. A gateway that knows nothing of the others does not wait for them beyond the propagation delay.
func (s schedule) handover(now time.Time, others knowledge) (at, from time.Time) {
	delayed, latest := s.started.Add(s.delay), s.deadline.Add(-lastReserve)
	switch others {
	case anotherServes, othersIrrelevant:
		return now, earlier(now.Add(s.delay), later(delayed, latest))
	case noOtherServes:
		at = later(s.started, latest)
	default:
		at = later(s.started, earlier(delayed, latest))
	}
	return at, later(at, delayed)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// startAsking calls askOthers in a goroutine. The function that it returns ends it and waits for its end.
func (m *Machine) startAsking(d *run) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var asking sync.WaitGroup
	asking.Go(func() { m.askOthers(ctx, d) })
	return func() {
		cancel()
		asking.Wait()
	}
}

// askOthers calls Options.AnotherServes every othersInterval until the clients are handed over to another gateway or
// ctx ends, and tells the drain each answer. An error changes nothing of what was known before.
func (m *Machine) askOthers(ctx context.Context, d *run) {
	ticker := time.NewTicker(othersInterval)
	defer ticker.Stop()
	for {
		serves, err := m.options.AnotherServes(ctx)
		if err != nil {
			m.options.Logger.Debug("whether another gateway serves is not known", slog.Any("error", err))
		} else if m.learn(d, serves) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// learn tells a drain whether another gateway serves, and reports whether its clients are handed over to that one.
func (m *Machine) learn(d *run, serves bool) (done bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case d.handedOver && d.keep > 0:
		return m.watchOthers(d, serves)
	case d.handedOver:
		if m.current == d && serves {
			m.options.Gate.setAnotherServes()
		}
		return serves
	case serves:
		d.others = anotherServes
	case d.others == othersUnknown:
		d.others = noOtherServes
		m.options.Logger.Info("no other gateway serves: this one stays ready until one does")
	}
	defer d.wake()
	return m.handOver(d, time.Now()) == 0 && serves && d.keep == 0
}

// othersTakeOver reports whether another gateway is known to take the clients of a drain over: it serves, or the
// operator said so. The caller holds the lock.
func (d *run) othersTakeOver() bool { return d.others == anotherServes || d.others == othersIrrelevant }

// progress is handOver for a caller that does not hold the lock. It also returns the pace of what follows, and whether
// that has changed since the last call.
func (m *Machine) progress(d *run, now time.Time) (pace Pace, changed bool, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	wait = m.handOver(d, now)
	changed, d.paceChanged = d.paceChanged, false
	return d.pace, changed, wait
}

// handOver hands the clients of a drain over when it is time: readiness fails, and closing is scheduled. It returns how
// long to wait otherwise. The caller holds the lock.
func (m *Machine) handOver(d *run, now time.Time) (wait time.Duration) {
	if d.handedOver {
		return 0
	}
	if d.keep > 0 && !d.othersTakeOver() {
		return idleWait
	}
	at, from := d.schedule.handover(now, d.others)
	if now.Before(at) {
		return at.Sub(now)
	}
	d.handedOver, d.pace.From = true, from
	if m.current == d {
		m.options.Gate.closeAt(from, d.othersTakeOver())
		m.options.Logger.Info("clients are handed over: readiness fails",
			slog.String("otherGateways", d.others.String()), slog.Duration("closingIn", from.Sub(now)))
	}
	return 0
}

// isUnused reports whether no client has come for the propagation delay, so that the last gateway need not wait for
// another one. The caller holds the lock.
func (m *Machine) isUnused(d *run, now time.Time) bool {
	asked := later(d.schedule.started, m.options.Gate.lastAsked())
	return !d.handedOver && now.Sub(asked) >= d.schedule.delay
}
