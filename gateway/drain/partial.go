package drain

import (
	"log/slog"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// A partial drain sends a part of the clients to other gateways: readiness fails, so that they find the others whatever
// load balancers remember of them, and the gateway serves again as soon as no more connections are left than it is to
// keep, or at its deadline. Nothing is closed at the deadline, nor while no other gateway serves.

// SincePartial returns how long ago a partial drain ended because no more connections were left than it was to keep,
// and false when none ever did.
func (m *Machine) SincePartial() (since time.Duration, ended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.partialEnd.IsZero() {
		return 0, false
	}
	return time.Since(m.partialEnd), true
}

// left returns the number of connections that a drain has yet to close. It only reads what never changes of d.
func (m *Machine) left(d *run) int { return max(0, m.options.Connections.Remaining()-d.keep) }

// finishPartial lets the gateway serve again when a partial drain is over, and reports whether it did. The caller holds
// the lock.
func (m *Machine) finishPartial(d *run, now time.Time) bool {
	reached := m.left(d) == 0
	if m.current != d || !reached && now.Before(d.schedule.deadline) {
		return false
	}
	m.state, m.current = contract.StateServing, nil
	m.options.Gate.setDraining(false)
	if reached {
		m.partialEnd = now
	}
	m.options.Logger.Info("partial drain is over: the gateway serves again",
		slog.String("reason", d.report.Reason), slog.Int("closed", d.report.Closed),
		slog.Int("left", m.options.Connections.Open()), slog.Duration("took", now.Sub(d.report.StartedAt)))
	return true
}
