package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/controllers/plan"
)

// The fleets of these cases have a grace period of 75 s.
const deletionGrace = 75

// at returns a time of the deletion's story, which begins at 0 s.
func at(seconds int64) metav1.Time { return metav1.Unix(1_000_000+seconds, 0) }

// goingSince returns the gateways' Deployment, which is being deleted since a time.
func goingSince(seconds int64) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: new(at(seconds))}}
}

// leaving returns a pod whose grace period ends at a time.
func leaving(until int64) corev1.Pod {
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: new(at(until))}}
}

func TestNextDeletionStep(t *testing.T) {
	running := corev1.Pod{}
	gone := corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodSucceeded}}
	slow := corev1.Pod{Spec: corev1.PodSpec{TerminationGracePeriodSeconds: new(int64(600))}}
	for _, c := range []struct {
		name       string
		now        int64
		deployment *appsv1.Deployment
		pods       []corev1.Pod
		want       plan.DeletionStep
	}{
		{"the Deployment goes first", 1, &appsv1.Deployment{}, []corev1.Pod{running, running},
			plan.DeletionStep{DeleteDeployment: true, Left: 2, Deadline: at(136)}},
		{"also when the operator was away for an hour", 3600, &appsv1.Deployment{}, []corev1.Pod{running},
			plan.DeletionStep{DeleteDeployment: true, Left: 1, Deadline: at(3735)}},
		{"the gateways drain", 5, goingSince(1), []corev1.Pod{leaving(76), leaving(77)},
			plan.DeletionStep{Left: 2, Deadline: at(137)}},
		{"the Deployment waits for the garbage collector", 5, goingSince(1), nil,
			plan.DeletionStep{Deadline: at(136)}},
		{"one has ended", 60, goingSince(1), []corev1.Pod{gone, leaving(77)},
			plan.DeletionStep{Left: 1, Deadline: at(137)}},
		{"all are gone", 70, nil, nil, plan.DeletionStep{Deadline: at(135), Release: true}},
		{"all have ended", 70, nil, []corev1.Pod{gone}, plan.DeletionStep{Deadline: at(135), Release: true}},
		{"another client deleted the Deployment, and its pods drain", 70, nil, []corev1.Pod{leaving(140)},
			plan.DeletionStep{Left: 1, Deadline: at(200)}},
		{"gateways of an earlier spec have longer", 136, goingSince(1), []corev1.Pod{slow},
			plan.DeletionStep{Left: 1, Deadline: at(661)}},
		{"a gateway on a dead node is not waited for for ever", 137, goingSince(1), []corev1.Pod{leaving(77)},
			plan.DeletionStep{Left: 1, Deadline: at(137), Release: true}},
		{"nor is a Deployment that stays", 136, goingSince(1), nil,
			plan.DeletionStep{Deadline: at(136), Release: true}},
		{"nor are pods without a Deployment", 135, nil, []corev1.Pod{running},
			plan.DeletionStep{Left: 1, Deadline: at(135), Release: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, plan.NextDeletionStep(plan.Deletion{
				RequestedAt:        at(0),
				Deployment:         c.deployment,
				Pods:               c.pods,
				GracePeriodSeconds: deletionGrace,
				Now:                at(c.now),
			}))
		})
	}
}
