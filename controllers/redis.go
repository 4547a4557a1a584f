package controllers

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
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
	for i := range pods {
		if pods[i].DeletionTimestamp != nil {
			return true
		}
	}
	return false
}
