package controllers

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/wsfleet/wsfleet/controllers/render"
)

// mayNeedManagedRedis says whether a gateway may still speak to a managed Redis that the spec has
// switched off: until every gateway has its new configuration, the old Redis carries their messages.
func mayNeedManagedRedis(held, justWrote bool, gateways *appsv1.Deployment, pods []corev1.Pod) bool {
	if held || justWrote {
		return true
	}
	if gateways == nil {
		return false
	}
	seen := gateways.Status
	if seen.ObservedGeneration < gateways.Generation || seen.UpdatedReplicas != seen.Replicas {
		return true
	}
	config := gateways.Spec.Template.Annotations[render.AnnotationConfigHash]
	return slices.ContainsFunc(pods, func(pod corev1.Pod) bool {
		// The Deployment may be seen before its pods: what counts is what a pod itself started from.
		return pod.DeletionTimestamp != nil || !ended(pod) && pod.Annotations[render.AnnotationConfigHash] != config
	})
}

// ended says whether none of the pod's containers will run again.
func ended(pod corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
