package integration

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// The API server repeats what it refuses. A condition and an event have room for the beginning.
func TestLongRefusalIsTold(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", fmt.Sprintf("pod: {labels: {team: %s}}", strings.Repeat("a", 40_000)))
	f.eventuallySays(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonApplyRefused, "Deployment")
	f.eventuallyTells(corev1.EventTypeWarning, v1alpha1.ReasonApplyRefused, "Deployment")
}

// Many problems at once are more than an event's text holds.
func TestManyProblemsAreTold(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	const name = "fleet"
	for _, c := range allChildren() {
		createForeign(t, c, o.namespace, name)
	}
	f := createFleet(t, o.namespace, name, everything)
	f.eventuallyTells(corev1.EventTypeWarning, v1alpha1.ReasonForeignObject, name)
}
