package plan

import (
	"math"
	"slices"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// budgetOf returns the reconnect budget of a fleet in which these gateways stay. Gateways that do not answer take no
// clients as far as is known; when none answers, the operator is cut off, and not the gateways.
func budgetOf(spec v1alpha1.WebSocketClusterSpec, gateways []Gateway) float64 {
	serving := countWhere(gateways, func(g Gateway) bool { return g.serving() && !g.Stale })
	if serving == 0 {
		serving = countWhere(gateways, Gateway.serving)
	}
	return render.ReconnectBudget(spec, serving)
}

// Pace asks a gateway that drains to close so many connections per second.
type Pace struct {
	Gateway   Gateway
	PerSecond int
}

// paceTolerance is the share by which the pace of a gateway may differ from its part of the budget.
const paceTolerance = 0.2

// closing returns how many seconds the gateway has to close its connections, as far as is known, 1 or more.
func (g Gateway) closing(spec v1alpha1.WebSocketClusterSpec) float64 {
	if drain := g.Report.Drain; drain != nil && drain.SecondsLeft > 0 {
		return max(1, drain.SecondsLeft)
	}
	return wholeDrain(spec)
}

// wholeDrain returns how many seconds a drain has to close connections when it begins, 1 or more.
func wholeDrain(spec v1alpha1.WebSocketClusterSpec) float64 {
	return max(1, (spec.Drain.Timeout.Duration - spec.Drain.PropagationDelay.Duration).Seconds())
}

// needs returns the number of connections per second that the gateway has to close so that none is left at its
// deadline.
func (g Gateway) needs(spec v1alpha1.WebSocketClusterSpec) float64 {
	return float64(g.connections()) / g.closing(spec)
}

// needOf returns what the gateways need together.
func needOf(spec v1alpha1.WebSocketClusterSpec, gateways []Gateway) float64 {
	sum := 0.0
	for _, g := range gateways {
		sum += g.needs(spec)
	}
	return sum
}

// Paces returns the gateways that drain whose pace differs from their part of the reconnect budget. Each gets a part in
// proportion to what it needs, so that those with less time come first, none has to hurry at its deadline, and all
// close no more than the budget in all, whatever they drain for. Without a budget, and where gateways report no pace or
// do not answer, each keeps its own. The spec has its defaults set.
func Paces(spec v1alpha1.WebSocketClusterSpec, gateways []Gateway) []Pace {
	draining := slices.DeleteFunc(slices.Clone(gateways), func(g Gateway) bool {
		return !g.drains() || g.Report.Drain == nil
	})
	budget, need := budgetOf(spec, gateways), needOf(spec, draining)
	if budget == 0 {
		return nil
	}
	var paces []Pace
	for _, g := range draining {
		drain := g.Report.Drain
		if g.Stale || drain.ClosesPerSecond == 0 || g.connections() == 0 {
			continue
		}
		wanted := min(contract.MaxClosesPerSecond, max(1, math.Round(budget*g.needs(spec)/need)))
		if most := float64(*spec.Drain.MaxClosesPerSecond); most > 0 {
			wanted = min(wanted, most)
		}
		if math.Abs(drain.ClosesPerSecond-wanted) > paceTolerance*wanted {
			paces = append(paces, Pace{g, int(wanted)})
		}
	}
	return paces
}
