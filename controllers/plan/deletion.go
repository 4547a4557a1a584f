package plan

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/controllers/fleet"
)

// deletionMarginSeconds is how long after the grace period of its pod a gateway may take to be gone: the garbage
// collector and the kubelet have to notice.
const deletionMarginSeconds = 60

// Deletion is what is observed of a fleet that is being deleted.
type Deletion struct {
	// RequestedAt is when the deletion of the fleet was requested.
	RequestedAt metav1.Time
	// Deployment is the gateways' Deployment, or nil when it is gone.
	Deployment *appsv1.Deployment
	// Pods are the gateways' pods, those that are terminating included.
	Pods []corev1.Pod
	// GracePeriodSeconds is the termination grace period of gateway pods by the spec.
	GracePeriodSeconds int64
	// Now is the current time.
	Now metav1.Time
}

// DeletionStep is the next step of a fleet's deletion.
type DeletionStep struct {
	// DeleteDeployment asks for the deletion of the gateways' Deployment.
	DeleteDeployment bool
	// Left is the number of gateways that are still there.
	Left int
	// Deadline is when the deletion goes on although gateways are left.
	Deadline metav1.Time
	// Release lets Kubernetes delete the fleet and all that it still has.
	Release bool
}

// NextDeletionStep returns the next step of a fleet's deletion: the gateways go first, and hand their clients over as
// long as they may. What they need, such as Redis, goes when they are gone, or at the deadline.
func NextDeletionStep(d Deletion) DeletionStep {
	step := DeletionStep{Left: gatewaysLeft(d.Pods), Deadline: deletionDeadline(d)}
	switch {
	case d.Deployment != nil && d.Deployment.DeletionTimestamp == nil:
		step.DeleteDeployment = true
	case d.Deployment == nil && step.Left == 0:
		step.Release = true
	default:
		step.Release = !d.Now.Before(&step.Deadline)
	}
	return step
}

// deletionDeadline counts from the deletion of the Deployment, because the operator may have been away when the
// deletion of the fleet was requested. A pod's deletion timestamp includes its grace period.
func deletionDeadline(d Deletion) metav1.Time {
	started, grace := d.RequestedAt, d.GracePeriodSeconds
	if d.Deployment != nil {
		started = d.Now
		if at := d.Deployment.DeletionTimestamp; at != nil {
			started = *at
		}
	}
	var ends int64
	for i := range d.Pods {
		pod := &d.Pods[i]
		if seconds := pod.Spec.TerminationGracePeriodSeconds; seconds != nil {
			grace = max(grace, *seconds)
		}
		if at := pod.DeletionTimestamp; at != nil {
			ends = max(ends, at.Unix())
		}
	}
	return metav1.Unix(max(ends, started.Unix()+grace)+deletionMarginSeconds, 0)
}

// gatewaysLeft returns the number of pods whose containers may still run.
func gatewaysLeft(pods []corev1.Pod) int {
	left := 0
	for i := range pods {
		if !fleet.HasEnded(&pods[i]) {
			left++
		}
	}
	return left
}
