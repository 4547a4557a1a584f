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
// many at once as both allow together, so they are lowered to the number that may drain at once.
func rolloutSteps(spec v1alpha1.WebSocketClusterSpec) (maxSurge, maxUnavailable intstr.IntOrString) {
	most := MaxDraining(spec)
	surge, unavailable := scaled(spec.Rollout.MaxSurge, spec, true), scaled(spec.Rollout.MaxUnavailable, spec, false)
	if surge+unavailable <= most {
		return *spec.Rollout.MaxSurge, *spec.Rollout.MaxUnavailable
	}
	surge = min(surge, most)
	return intstr.FromInt32(int32(surge)), intstr.FromInt32(int32(min(unavailable, most-surge)))
}
