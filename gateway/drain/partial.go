package drain

import (
	"log/slog"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// A partial drain sends a part of the clients to other gateways: readiness fails, so that they find the others whatever
// load balancers remember of them, and the gateway serves again as soon as no more connections are left than it is to
// keep, or at its deadline. Nothing is closed at the deadline, nor while it is not known that another gateway serves.

// partialEnd is how a partial drain ended.
type partialEnd struct {
	at      time.Time
	reached bool
}

// LastPartial describes the last partial drain that is over, or returns nil when there was none.
func (m *Machine) LastPartial() *contract.PartialDrainReport {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lastPartial == nil {
		return nil
	}
	return &contract.PartialDrainReport{
		SecondsAgo: time.Since(m.lastPartial.at).Seconds(), Reached: m.lastPartial.reached,
	}
}

// left returns the number of connections that a drain has yet to close. It reads only fields of d that never change.
func (m *Machine) left(d *run) int { return max(0, m.options.Connections.Remaining()-d.keep) }

// finishPartial lets the gateway serve again when a partial drain is over, and reports whether it did. The caller holds
// the lock.
func (m *Machine) finishPartial(d *run, now time.Time) bool {
	reached := m.left(d) == 0
	if !reached && now.Before(d.schedule.deadline) {
		return false
	}
	m.endPartial(now, reached)
	m.options.Logger.Info("partial drain is over: the gateway serves again",
		slog.String("reason", d.report.Reason), slog.Int("closed", d.report.Closed),
		slog.Int("left", m.options.Connections.Open()), slog.Duration("took", now.Sub(d.report.StartedAt)))
	return true
}

// endPartial ends the partial drain that is under way: the gateway serves again. The caller holds the lock.
func (m *Machine) endPartial(now time.Time, reached bool) {
	m.state, m.current = contract.StateServing, nil
	m.options.Gate.setDraining(false)
	m.lastPartial = &partialEnd{at: now, reached: reached}
}

// watchOthers ends a partial drain whose clients are being handed over when no other gateway serves any more, and
// reports whether it is over. The caller holds the lock.
func (m *Machine) watchOthers(d *run, serves bool) (over bool) {
	if m.current != d {
		return true
	}
	if !serves {
		m.options.Logger.Warn("no other gateway serves any more: this one keeps the rest of its clients")
		m.endPartial(time.Now(), false)
		d.cancel()
	}
	return !serves
}
