package simulate

import (
	"github.com/wsfleet/wsfleet/controllers/plan"
)

// nextRebalance returns what the operator does next to spread clients evenly.
func (f *simulation) nextRebalance(gateways []plan.Gateway) plan.RebalanceStep {
	return plan.NextRebalanceStep(plan.Rebalance{Spec: f.spec, Deployment: f.deployment.live, Gateways: gateways})
}

// rebalances reports whether a rebalance goes on, or is to go on.
func (f *simulation) rebalances() bool {
	if !f.spec.Rebalance.Enabled {
		return false
	}
	step := f.nextRebalance(f.observed())
	return len(step.Shed)+len(step.Restore)+step.Shedding > 0
}

// changeBalance asks gateways to send a part of their clients away, or to keep the rest. It reports whether a rebalance
// goes on.
func (f *simulation) changeBalance(step plan.RebalanceStep) bool {
	for _, restored := range step.Restore {
		if g := f.byUID[restored.Pod.UID]; g != nil && g.answers() {
			f.undrain(g)
			f.noteReport(g)
		}
	}
	for _, s := range step.Shed {
		if g := f.byUID[s.Gateway.Pod.UID]; g != nil && g.answers() && g.drain == nil {
			f.shed(g, s)
			f.noteReport(g)
		}
	}
	return len(step.Shed)+len(step.Restore)+step.Shedding > 0
}

// shed begins a partial drain of a gateway.
func (f *simulation) shed(g *gateway, s plan.Shed) {
	timeout, delay := f.spec.Drain.Timeout.Duration, f.spec.Drain.PropagationDelay.Duration
	f.beginDrain(g, plan.DrainReasonRebalance, timeout, min(delay, timeout), false)
	g.drain.keep, g.drain.pace.Rate = s.Keep, s.PerSecond
}
