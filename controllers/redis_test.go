package controllers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/controllers/render"
)

func TestMayNeedManagedRedis(t *testing.T) {
	settled := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Generation: 2},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 2, UpdatedReplicas: 2},
	}
	rolling := settled.DeepCopy()
	rolling.Status.UpdatedReplicas = 1
	unseen := settled.DeepCopy()
	unseen.Generation = 3
	settled.Spec.Template.Annotations = map[string]string{render.AnnotationConfigHash: "new"}
	pod := func(config string, phase corev1.PodPhase) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{render.AnnotationConfigHash: config}},
			Status:     corev1.PodStatus{Phase: phase},
		}
	}
	stays, leaves := pod("new", corev1.PodRunning), pod("new", corev1.PodRunning)
	leaves.DeletionTimestamp = &metav1.Time{}

	for _, c := range []struct {
		name            string
		held, justWrote bool
		gateways        *appsv1.Deployment
		pods            []corev1.Pod
		want            bool
	}{
		{"every gateway has moved", false, false, settled, []corev1.Pod{stays}, false},
		{"there are no gateways", false, false, nil, nil, false},
		{"the gateways stay as they are", true, false, settled, nil, true},
		{"the change is just written", false, true, settled, nil, true},
		{"the change is not seen yet", false, false, unseen, nil, true},
		{"old gateways are left", false, false, rolling, nil, true},
		{"an old gateway is not known to drain yet", false, false, settled, []corev1.Pod{stays, pod("old", corev1.PodRunning)}, true},
		{"an old gateway that has not started", false, false, settled, []corev1.Pod{pod("old", corev1.PodPending)}, true},
		{"old gateways that have ended", false, false, settled, []corev1.Pod{pod("old", corev1.PodSucceeded), pod("old", corev1.PodFailed)}, false},
		{"an old gateway drains", false, false, settled, []corev1.Pod{stays, leaves}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, mayNeedManagedRedis(c.held, c.justWrote, c.gateways, c.pods))
		})
	}
}
