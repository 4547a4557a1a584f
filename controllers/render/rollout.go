package render

import (
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// MaxDraining returns the maximum number of gateways that drain at once by disruption.maxUnavailable. It is 1 or more:
// that field bounds evictions too, where 0 means none. The spec has its defaults set, and the fleet's size.
func MaxDraining(spec v1alpha1.WebSocketClusterSpec) int {
	return max(1, scaled(spec.Disruption.MaxUnavailable, spec, true))
}

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

// maxTogether returns how many gateways may begin to drain at the same moment: as many as may drain, and no more than
// the others take over within drain.timeout by the reconnect budget when all of them are full. It is 1 or more.
func maxTogether(spec v1alpha1.WebSocketClusterSpec) int {
	most, size := MaxDraining(spec), float64(*spec.Replicas)
	seconds := (spec.Drain.Timeout.Duration - spec.Drain.PropagationDelay.Duration).Seconds()
	full := float64(*spec.Gateway.MaxConnections)
	whole, each := ReconnectBudget(spec, int(*spec.Replicas)), ReconnectBudget(spec, 1)
	if whole == 0 || seconds <= 0 {
		return most
	}
	together := whole * seconds / full
	if *spec.Rollout.MaxReconnectsPerSecond == 0 {
		// n gateways and the size - n others: n * full = (size - n) * each * seconds.
		together = size * each * seconds / (full + each*seconds)
	}
	// A gateway that drains closes one connection per second or more.
	return max(1, min(most, int(min(whole, together))))
}

// scaled returns a number or a percentage of the fleet's size as a number.
func scaled(value *intstr.IntOrString, spec v1alpha1.WebSocketClusterSpec, roundUp bool) int {
	n, err := intstr.GetScaledValueFromIntOrPercent(value, int(*spec.Replicas), roundUp)
	if err != nil {
		// The schema refuses what cannot be read.
		return 0
	}
	return n
}

// rolloutSteps returns how many gateways a rollout may have above and below the fleet's size. Kubernetes replaces as
// many at the same moment as both allow together, so they are lowered to the number that may begin to drain then.
func rolloutSteps(spec v1alpha1.WebSocketClusterSpec) (maxSurge, maxUnavailable intstr.IntOrString) {
	most := maxTogether(spec)
	surge, unavailable := scaled(spec.Rollout.MaxSurge, spec, true), scaled(spec.Rollout.MaxUnavailable, spec, false)
	if surge+unavailable <= most {
		return *spec.Rollout.MaxSurge, *spec.Rollout.MaxUnavailable
	}
	surge = min(surge, most)
	return intstr.FromInt32(int32(surge)), intstr.FromInt32(int32(min(unavailable, most-surge)))
}
