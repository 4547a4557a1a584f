package controllers

import (
	"cmp"
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wsfleet/wsfleet/controllers/status"
)

// explainCreation gives the container of the newest pod that is being created for too long the words of the kubelet's
// last warning about it. A Secret that cannot be mounted, or a network that cannot be set up, shows in events only. The
// events are read from the API server, and only while there is such a pod.
func (r *Reconciler) explainCreation(ctx context.Context, pods []corev1.Pod, now time.Time) {
	var newest *corev1.Pod
	for i := range pods {
		if status.CreationOverdue(&pods[i], now) &&
			(newest == nil || newest.CreationTimestamp.Before(&pods[i].CreationTimestamp)) {
			newest = &pods[i]
		}
	}
	if newest == nil {
		return
	}
	var found corev1.EventList
	err := r.applier.live.List(ctx, &found, client.InNamespace(newest.Namespace),
		client.MatchingFields{"involvedObject.uid": string(newest.UID), "type": corev1.EventTypeWarning})
	if err != nil {
		// The status then says only that the gateway is not ready.
		log.FromContext(ctx).V(1).Info("Could not read the events of a pod", "pod", newest.Name, "reason", err.Error())
		return
	}
	for i := range newest.Status.ContainerStatuses {
		if waiting := newest.Status.ContainerStatuses[i].State.Waiting; waiting != nil {
			waiting.Message = lastCreationFailure(found.Items)
		}
	}
}

// lastCreationFailure returns the words of the last event about a container that cannot be created, or "".
func lastCreationFailure(events []corev1.Event) string {
	events = slices.DeleteFunc(slices.Clone(events), func(event corev1.Event) bool {
		switch event.Reason {
		case "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox":
			return false
		default:
			return true
		}
	})
	if len(events) == 0 {
		return ""
	}
	last := slices.MaxFunc(events, func(a, b corev1.Event) int {
		return cmp.Compare(a.LastTimestamp.UnixNano(), b.LastTimestamp.UnixNano())
	})
	return last.Message
}
