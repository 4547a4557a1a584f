package status

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// Warnings are the conditions that have newly turned bad in a way that the user has to do something
// about: each is worth an event, once.
func Warnings(before, after []metav1.Condition) []metav1.Condition {
	var warnings []metav1.Condition
	told := map[string]bool{}
	for _, now := range after {
		if !needsTheUser(now) || told[now.Message] {
			continue
		}
		was := meta.FindStatusCondition(before, now.Type)
		if was != nil && was.Status == now.Status && was.Reason == now.Reason && sameProblems(*was, now) {
			continue
		}
		told[now.Message] = true
		warnings = append(warnings, now)
	}
	return warnings
}

func needsTheUser(condition metav1.Condition) bool {
	if condition.Status != metav1.ConditionFalse {
		return false
	}
	switch condition.Reason {
	case v1alpha1.ReasonForeignObject, v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonSecretKeyMissing,
		v1alpha1.ReasonSecretKeyTooShort, v1alpha1.ReasonApplyRefused:
		// They are in other conditions too.
		return condition.Type == v1alpha1.ConditionSpecAccepted
	case v1alpha1.ReasonUnreachable, v1alpha1.ReasonCredentialsRefused, v1alpha1.ReasonDeadlineExceeded,
		v1alpha1.ReasonNoMetricsAPI, v1alpha1.ReasonIngressClassNotFound:
		return true
	default:
		return false
	}
}

// sameProblems looks at the message only where it lists what is wrong: elsewhere it counts gateways,
// and each new number would be an event.
func sameProblems(was, now metav1.Condition) bool {
	return now.Type != v1alpha1.ConditionSpecAccepted || was.Message == now.Message
}
