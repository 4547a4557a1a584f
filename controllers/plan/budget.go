package plan

import (
	"math"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// acceptShare is the share of what the serving gateways accept per second that a drain may use. The rest is for clients
// that come by themselves.
const acceptShare = 0.5

// ReconnectBudget returns the maximum number of clients per second that drains may send to the serving gateways, or 0
// for no limit: rollout.maxReconnectsPerSecond, or, where that is 0, half of what the serving gateways accept by
// gateway.connectRate, and 1 or more. The spec has its defaults set.
func ReconnectBudget(spec v1alpha1.WebSocketClusterSpec, serving int) float64 {
	if most := *spec.Rollout.MaxReconnectsPerSecond; most > 0 {
		return float64(most)
	}
	if *spec.Gateway.ConnectRate == 0 {
		return 0
	}
	return max(1, acceptShare*float64(*spec.Gateway.ConnectRate)*float64(serving))
}

// closesPerSecond returns the limit of a gateway's pace for a budget, or 0 for none.
func closesPerSecond(budget float64) int {
	if budget == 0 {
		return 0
	}
	return int(budget)
}

// maxDraining returns the maximum number of gateways that drain at once by disruption.maxUnavailable. It is 1 or more:
// that field bounds evictions too, where 0 means none.
func maxDraining(spec v1alpha1.WebSocketClusterSpec) int {
	value, err := intstr.GetScaledValueFromIntOrPercent(spec.Disruption.MaxUnavailable, int(*spec.Replicas), true)
	if err != nil {
		// The schema refuses what cannot be read.
		return 1
	}
	return max(1, value)
}

// emptiable returns the number of clients that drains can hand over within spec.drain.timeout at a budget.
func emptiable(spec v1alpha1.WebSocketClusterSpec, budget float64) int {
	if budget == 0 {
		return math.MaxInt
	}
	return int(budget * (spec.Drain.Timeout.Duration - spec.Drain.PropagationDelay.Duration).Seconds())
}
