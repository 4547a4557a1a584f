package status

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// accepted is true while nothing keeps the operator from applying the spec.
func accepted(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionSpecAccepted
	switch {
	case len(o.Problems) > 0:
		return condition(kind, false, o.Problems[0].Reason, allMessages(o.Problems))
	case o.spec().Paused:
		return condition(kind, true, v1alpha1.ReasonAccepted,
			"the operator can apply the spec: set spec.paused to false to let it")
	default:
		return condition(kind, true, v1alpha1.ReasonAccepted, "the operator applies the spec")
	}
}

// allMessages returns the messages of all problems, so that the user sees them together and not one after the other.
func allMessages(problems []Problem) string {
	messages := make([]string, 0, len(problems))
	for _, problem := range problems {
		messages = append(messages, problem.Message)
	}
	return strings.Join(messages, "; ")
}
