package status

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// summary returns the conditions Ready, Reconciling and Stalled by the other conditions. kstatus, by which Flux and
// Helm wait, reads Stalled as failed, Reconciling as in progress and Ready as current. All three have the reason and
// the message of the condition that decides.
func summary(o Observation, others []metav1.Condition) []metav1.Condition {
	decides := obstacle(o, others)
	ready := decides == nil
	if ready {
		decides = readyCondition(o, others)
	}
	stalled := !ready && isStalled(decides.Reason)
	return []metav1.Condition{
		condition(v1alpha1.ConditionReady, ready, decides.Reason, decides.Message),
		condition(v1alpha1.ConditionReconciling, !ready && !stalled, decides.Reason, decides.Message),
		condition(v1alpha1.ConditionStalled, stalled, decides.Reason, decides.Message),
	}
}

// obstacle returns the condition that keeps the fleet from being ready, or nil. MetricsAvailable and Draining are left
// out: the fleet serves clients without them.
func obstacle(o Observation, others []metav1.Condition) *metav1.Condition {
	for _, kind := range []string{
		v1alpha1.ConditionSpecAccepted,
		v1alpha1.ConditionProgressing,
		v1alpha1.ConditionBackplaneReady,
		v1alpha1.ConditionAvailable,
		v1alpha1.ConditionExposed,
	} {
		one := meta.FindStatusCondition(others, kind)
		switch {
		case kind == v1alpha1.ConditionAvailable && o.desired() == 0:
		case kind == v1alpha1.ConditionProgressing:
			if !isAtRest(one.Reason) {
				return one
			}
		case one.Status == metav1.ConditionFalse:
			return one
		}
	}
	return nil
}

// isAtRest reports whether the fleet is as its spec asks for, by the reason of Progressing. A fleet that waits for the
// operator's release has been so before it, and may wait for hours while others are upgraded. One that rebalances has
// all its gateways.
func isAtRest(reason string) bool {
	switch reason {
	case v1alpha1.ReasonSettled, v1alpha1.ReasonPaused, v1alpha1.ReasonUpgradeQueued,
		v1alpha1.ReasonRebalancing, v1alpha1.ReasonRebalanceWaits:
		return true
	default:
		return false
	}
}

// readyCondition returns the condition that has the reason and message of a fleet that is ready.
func readyCondition(o Observation, others []metav1.Condition) *metav1.Condition {
	if o.desired() == 0 {
		return meta.FindStatusCondition(others, v1alpha1.ConditionAvailable)
	}
	return meta.FindStatusCondition(others, v1alpha1.ConditionProgressing)
}

// isStalled reports whether nothing goes on for this reason until the user acts. Reasons that often pass by themselves,
// such as an image or a Secret that comes a little later, are not among them: Kubernetes and the operator try again.
func isStalled(reason string) bool {
	switch reason {
	case v1alpha1.ReasonDeadlineExceeded, v1alpha1.ReasonForeignObject, v1alpha1.ReasonRolloutPaused,
		v1alpha1.ReasonClientsRefused:
		return true
	default:
		return false
	}
}
