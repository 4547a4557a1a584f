package status

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// Warnings returns the conditions that have changed for a reason that requires an action of the user. The operator
// records a Warning event for each. Conditions with the same message are returned once.
func Warnings(before, after []metav1.Condition) []metav1.Condition {
	var warnings []metav1.Condition
	seen := map[string]bool{}
	for _, current := range after {
		if !requiresAction(current) || seen[current.Message] {
			continue
		}
		previous := meta.FindStatusCondition(before, current.Type)
		if previous != nil && previous.Status == current.Status && previous.Reason == current.Reason &&
			sameProblems(*previous, current) {
			continue
		}
		seen[current.Message] = true
		warnings = append(warnings, current)
	}
	return warnings
}

// requiresAction reports whether the condition has a reason that does not pass by itself.
func requiresAction(condition metav1.Condition) bool {
	if condition.Reason == v1alpha1.ReasonDrainTooShort {
		return true
	}
	if condition.Status != metav1.ConditionFalse {
		return false
	}
	switch condition.Type {
	case v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled:
		// The condition that they sum up has the warning.
		return false
	}
	switch condition.Reason {
	case v1alpha1.ReasonForeignObject, v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonSecretKeyMissing,
		v1alpha1.ReasonSecretKeyTooShort, v1alpha1.ReasonCertificateInvalid, v1alpha1.ReasonApplyRefused,
		v1alpha1.ReasonPatchInvalid, v1alpha1.ReasonContested, v1alpha1.ReasonGracePeriodShortened:
		// Other conditions have these reasons too.
		return condition.Type == v1alpha1.ConditionSpecAccepted
	case v1alpha1.ReasonUnreachable, v1alpha1.ReasonCredentialsRefused, v1alpha1.ReasonDeadlineExceeded,
		v1alpha1.ReasonNoMetricsAPI, v1alpha1.ReasonMetricUnreadable, v1alpha1.ReasonAutoscalerFailed,
		v1alpha1.ReasonSecondAutoscaler, v1alpha1.ReasonGatewaysSilent, v1alpha1.ReasonIngressClassNotFound,
		v1alpha1.ReasonRolloutPaused, v1alpha1.ReasonClientsRefused,
		v1alpha1.ReasonPodsRefused, v1alpha1.ReasonUnschedulable, v1alpha1.ReasonImagePullFailed,
		v1alpha1.ReasonContainerNotStarted, v1alpha1.ReasonCrashLooping, v1alpha1.ReasonGatewaysLost,
		v1alpha1.ReasonGatewayAPINotInstalled, v1alpha1.ReasonRouteRefused, v1alpha1.ReasonNoSessionPersistence,
		v1alpha1.ReasonKindNotInstalled:
		return true
	default:
		return false
	}
}

// sameProblems compares the messages of SpecAccepted, which list the problems. The messages of other conditions have
// numbers of gateways, and a new number is not worth an event.
func sameProblems(previous, current metav1.Condition) bool {
	return current.Type != v1alpha1.ConditionSpecAccepted || previous.Message == current.Message
}
