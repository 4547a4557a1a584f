package plan

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// GatewayRollout is what is observed of the rollout of gateways to their newest configuration.
type GatewayRollout struct {
	// Held is true while the gateways are kept as they are because something that they need is missing.
	Held bool
	// JustApplied is true when this reconcile has written the gateways' Deployment, so that Deployment is out of date.
	JustApplied bool
	// Deployment is the gateways' Deployment, or nil when there is none.
	Deployment *appsv1.Deployment
	// Pods are the gateways' pods, those that are terminating included.
	Pods []corev1.Pod
}

// KeepManagedRedis reports whether a gateway may still use a managed Redis that the spec no longer asks for. A spec may
// leave the managed Redis while it has no replicas, or for no Redis at one replica. Gateways that still drain then, and
// those that the rollout has not replaced, need the Redis until they end.
func KeepManagedRedis(rollout GatewayRollout) bool {
	if rollout.Held || rollout.JustApplied {
		return true
	}
	if rollout.Deployment == nil {
		return false
	}
	observed := rollout.Deployment.Status
	if observed.ObservedGeneration < rollout.Deployment.Generation || observed.UpdatedReplicas != observed.Replicas {
		return true
	}
	config := rollout.Deployment.Spec.Template.Annotations[render.AnnotationConfig]
	return slices.ContainsFunc(rollout.Pods, func(pod corev1.Pod) bool {
		// The cache may have the Deployment's status before its pods, so each pod's own configuration counts.
		return pod.DeletionTimestamp != nil || !fleet.HasEnded(&pod) && pod.Annotations[render.AnnotationConfig] != config
	})
}
