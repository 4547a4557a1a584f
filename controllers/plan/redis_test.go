package plan

import (
	"testing"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/controllers/render"
)

func TestKeepManagedRedis(t *testing.T) {
	settled := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Generation: 2},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 2, UpdatedReplicas: 2},
	}
	rolling := settled.DeepCopy()
	rolling.Status.UpdatedReplicas = 1
	unseen := settled.DeepCopy()
	unseen.Generation = 3
	settled.Spec.Template.Annotations = map[string]string{render.AnnotationConfig: "new"}
	pod := func(config string, phase corev1.PodPhase) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{render.AnnotationConfig: config}},
			Status:     corev1.PodStatus{Phase: phase},
		}
	}
	stays, leaves := pod("new", corev1.PodRunning), pod("new", corev1.PodRunning)
	leaves.DeletionTimestamp = &metav1.Time{}

	for _, c := range []struct {
		name    string
		rollout GatewayRollout
		want    bool
	}{
		{"every gateway has moved", GatewayRollout{Deployment: settled, Pods: []corev1.Pod{stays}}, false},
		{"there are no gateways", GatewayRollout{}, false},
		{"the gateways stay as they are", GatewayRollout{Held: true, Deployment: settled}, true},
		{"the change is just written", GatewayRollout{JustApplied: true, Deployment: settled}, true},
		{"the change is not observed yet", GatewayRollout{Deployment: unseen}, true},
		{"old gateways are left", GatewayRollout{Deployment: rolling}, true},
		{
			"an old gateway is not known to drain yet",
			GatewayRollout{Deployment: settled, Pods: []corev1.Pod{stays, pod("old", corev1.PodRunning)}}, true,
		},
		{
			"an old gateway that has not started",
			GatewayRollout{Deployment: settled, Pods: []corev1.Pod{pod("old", corev1.PodPending)}}, true,
		},
		{
			"old gateways that have ended",
			GatewayRollout{Deployment: settled, Pods: []corev1.Pod{
				pod("old", corev1.PodSucceeded), pod("old", corev1.PodFailed),
			}}, false,
		},
		{"an old gateway drains", GatewayRollout{Deployment: settled, Pods: []corev1.Pod{stays, leaves}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, KeepManagedRedis(c.rollout))
		})
	}
}
