package fleet

import (
	corev1 "k8s.io/api/core/v1"
)

// ReadyCondition returns the pod's condition Ready, or nil when it has none.
func ReadyCondition(pod *corev1.Pod) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.PodReady {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// IsReady reports whether the pod's readiness probe succeeds. A pod that is being deleted may be ready.
func IsReady(pod *corev1.Pod) bool {
	condition := ReadyCondition(pod)
	return condition != nil && condition.Status == corev1.ConditionTrue
}

// HasEnded reports whether all containers of the pod have ended for good.
func HasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
