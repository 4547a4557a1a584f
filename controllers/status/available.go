package status

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// available is true when as many gateways serve as a rollout may leave.
func available(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionAvailable
	wanted, serving := o.wanted(), o.serving()
	need := max(1, wanted-mayBeMissing(o))
	message := fmt.Sprintf("%d of %d gateways serve", serving, wanted)
	switch {
	case wanted == 0:
		return condition(kind, false, v1alpha1.ReasonScaledToZero, "spec.replicas is 0: raise it to serve clients")
	case serving == 0:
		return condition(kind, false, v1alpha1.ReasonNoneServing, message)
	case serving < need:
		return condition(kind, false, v1alpha1.ReasonTooFewServing, message)
	default:
		return condition(kind, true, v1alpha1.ReasonEnoughServing, message)
	}
}

func mayBeMissing(o Observation) int32 {
	// Rounded down, as the Deployment does it. The schema has checked the value.
	missing, err := intstr.GetScaledValueFromIntOrPercent(o.spec().Rollout.MaxUnavailable, int(o.wanted()), false)
	if err != nil {
		return 0
	}
	return int32(missing) //nolint:gosec // at most replicas
}
