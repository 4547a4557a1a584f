package status

import (
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

func TestWarnings(t *testing.T) {
	bad := func(kind, reason, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message}
	}
	unreachable := bad(v1alpha1.ConditionBackplaneReady, v1alpha1.ReasonUnreachable, "1 of 2")
	noSecret := bad(v1alpha1.ConditionSpecAccepted, v1alpha1.ReasonSecretNotFound, "no secret")

	for _, c := range []struct {
		name          string
		before, after []metav1.Condition
		want          int
	}{
		{"newly bad", nil, []metav1.Condition{unreachable}, 1},
		{"still bad", []metav1.Condition{unreachable}, []metav1.Condition{unreachable}, 0},
		{"another number of gateways", []metav1.Condition{unreachable},
			[]metav1.Condition{bad(unreachable.Type, unreachable.Reason, "2 of 2")}, 0},
		{"another problem", []metav1.Condition{noSecret},
			[]metav1.Condition{bad(noSecret.Type, noSecret.Reason, "another secret")}, 1},
		{"a key too short", nil,
			[]metav1.Condition{bad(v1alpha1.ConditionSpecAccepted, v1alpha1.ReasonSecretKeyTooShort, "too short")}, 1},
		{"one message in two conditions", nil,
			[]metav1.Condition{bad(v1alpha1.ConditionBackplaneReady, v1alpha1.ReasonSecretNotFound, "no secret"), noSecret}, 1},
		{"a problem that passes by itself", nil,
			[]metav1.Condition{bad(v1alpha1.ConditionBackplaneReady, v1alpha1.ReasonRedisStarting, "soon")}, 0},
		{"good", []metav1.Condition{unreachable},
			[]metav1.Condition{{Type: unreachable.Type, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConnected}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Len(t, Warnings(c.before, c.after), c.want)
		})
	}
}
