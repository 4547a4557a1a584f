package plan

import (
	"math"
	"slices"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// acceptShare is the share of what the serving gateways accept per second that a drain may use. The rest is for clients
// that come by themselves.
const acceptShare = 0.5

// ReconnectBudget returns the maximum number of clients per second that drains may send to the serving gateways, or 0
// for no limit: rollout.maxReconnectsPerSecond, or, where that is 0, half of what the serving gateways accept by
// gateway.connectRate. Where none serves, it is not known where the clients go, and each gateway spreads its closes
// over the whole drain. The spec has its defaults set.
func ReconnectBudget(spec v1alpha1.WebSocketClusterSpec, serving int) float64 {
	if most := *spec.Rollout.MaxReconnectsPerSecond; most > 0 {
		return float64(most)
	}
	if serving == 0 {
		return 0
	}
	return acceptShare * float64(*spec.Gateway.ConnectRate) * float64(serving)
}

// Pace asks a gateway that drains to close so many connections per second.
type Pace struct {
	Gateway   Gateway
	PerSecond int
}

// paceTolerance is the share by which the pace of a gateway may differ from its part of the budget.
const paceTolerance = 0.2

// Paces returns the gateways that drain whose pace differs from their part of the reconnect budget. Each gets a part in
// proportion to its connections, so that all end together and close no more than the budget in all, whatever they drain
// for. Without a budget, and where gateways report no pace or do not answer, each keeps its own. The spec has its
// defaults set.
func Paces(spec v1alpha1.WebSocketClusterSpec, gateways []Gateway) []Pace {
	draining := slices.DeleteFunc(slices.Clone(gateways), func(g Gateway) bool {
		return !g.drains() || g.Report.Drain == nil
	})
	budget, clients := ReconnectBudget(spec, countWhere(gateways, Gateway.serving)), connectionsOf(draining)
	if budget == 0 {
		return nil
	}
	var paces []Pace
	for _, g := range draining {
		drain := g.Report.Drain
		if g.Stale || drain.ClosesPerSecond == 0 || g.connections() == 0 {
			continue
		}
		wanted := min(contract.MaxClosesPerSecond, max(1, math.Round(budget*float64(g.connections())/float64(clients))))
		if most := float64(*spec.Drain.MaxClosesPerSecond); most > 0 {
			wanted = min(wanted, most)
		}
		if math.Abs(drain.ClosesPerSecond-wanted) > paceTolerance*wanted {
			paces = append(paces, Pace{g, int(wanted)})
		}
	}
	return paces
}

// emptiable returns the number of clients that drains can hand over within spec.drain.timeout at a budget.
func emptiable(spec v1alpha1.WebSocketClusterSpec, budget float64) int {
	if budget == 0 {
		return math.MaxInt
	}
	return int(budget * (spec.Drain.Timeout.Duration - spec.Drain.PropagationDelay.Duration).Seconds())
}
