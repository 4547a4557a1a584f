package integration

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// The API server's answer repeats the value that it refuses. A condition and an event have the beginning of it.
func TestStatusShortensLongRefusals(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", fmt.Sprintf("pod: {tolerations: [{key: %s, operator: Exists}]}",
		strings.Repeat("a", 40_000)))
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonApplyRefused, "Deployment")
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonApplyRefused, "Deployment")
}

// The texts of many problems together are longer than the note of an event may be.
func TestEventsShortenManyProblems(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	const name = "fleet"
	for _, c := range allChildren() {
		createForeign(t, c, o.namespace, name)
	}
	f := createFleet(t, o.namespace, name, everything)
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonForeignObject, name)
}
