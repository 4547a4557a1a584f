package status

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// accepted is true when nothing keeps the operator from acting on the spec.
func accepted(o Observation) metav1.Condition {
	if len(o.Problems) == 0 && o.spec().Paused {
		return condition(v1alpha1.ConditionSpecAccepted, true, v1alpha1.ReasonAccepted, "the operator would act on the spec, but spec.paused is true")
	}
	if len(o.Problems) == 0 {
		return condition(v1alpha1.ConditionSpecAccepted, true, v1alpha1.ReasonAccepted, "the operator acts on the spec")
	}
	return condition(v1alpha1.ConditionSpecAccepted, false, o.Problems[0].Reason, allMessages(o.Problems))
}

// allMessages tells every problem, so that the user need not solve one to learn of the next.
func allMessages(problems []Problem) string {
	messages := make([]string, 0, len(problems))
	for _, problem := range problems {
		messages = append(messages, problem.Message)
	}
	return strings.Join(messages, "; ")
}
