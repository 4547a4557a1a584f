package plan

import (
	appsv1 "k8s.io/api/apps/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// Replicas returns the desired number of gateways. A spec that leaves replicas out keeps the number that its Deployment
// asks for, so that a user can leave the field out at any time, such as when autoscaling is switched on or off. Without
// a Deployment, which is nil then, the fleet is new. The spec has its defaults set.
func Replicas(spec v1alpha1.WebSocketClusterSpec, deployment *appsv1.Deployment) int32 {
	if spec.Replicas != nil {
		return *spec.Replicas
	}
	replicas := int32(v1alpha1.DefaultReplicas)
	if deployment != nil && deployment.Spec.Replicas != nil {
		replicas = *deployment.Spec.Replicas
	}
	if spec.Redis.Managed == nil && spec.Redis.External == nil {
		// The schema refuses more: nothing carries messages between gateways.
		replicas = min(replicas, 1)
	}
	if autoscaling := spec.Autoscaling; autoscaling != nil {
		replicas = min(max(replicas, *autoscaling.MinReplicas), autoscaling.MaxReplicas)
	}
	return replicas
}
