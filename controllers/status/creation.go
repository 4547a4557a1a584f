package status

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// creationTime is how long a node may take to create a container, besides the pull of its image, until its events are
	// read.
	creationTime = 10 * time.Second
	// creationRecheck is how soon the events of a pod that is being created are read again.
	creationRecheck = 30 * time.Second
)

// CreationOverdue reports whether a node has had the pod for longer than the creation of its container takes. The pod's
// status does not say why then.
func CreationOverdue(pod *corev1.Pod, now time.Time) bool {
	since := creationStarted(pod)
	return !since.IsZero() && now.Sub(since) >= creationTime
}

// creationRecheckAfter returns when to look at the pod's events, or 0 for never.
func creationRecheckAfter(pod *corev1.Pod, now time.Time) time.Duration {
	since := creationStarted(pod)
	switch {
	case since.IsZero():
		return 0
	case now.Sub(since) < creationTime:
		return creationTime - now.Sub(since)
	default:
		return creationRecheck
	}
}

// creationStarted returns since when a node creates the pod's container, or the zero time when it does not.
func creationStarted(pod *corev1.Pod) time.Time {
	creating := false
	for _, container := range pod.Status.ContainerStatuses {
		creating = creating || container.State.Waiting != nil && container.State.Waiting.Reason == "ContainerCreating"
	}
	if !creating || pod.DeletionTimestamp != nil {
		return time.Time{}
	}
	for _, one := range pod.Status.Conditions {
		if one.Type == corev1.PodScheduled && one.Status == corev1.ConditionTrue {
			return one.LastTransitionTime.Time
		}
	}
	return time.Time{}
}
