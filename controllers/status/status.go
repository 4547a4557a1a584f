package status

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// Compute returns the whole status. A condition whose status does not change keeps its transition time.
func Compute(o Observation) v1alpha1.WebSocketClusterStatus {
	// Surge does not count: what is above spec.replicas leaves soon.
	serving := min(o.serving(), o.desired())
	status := v1alpha1.WebSocketClusterStatus{
		Conditions:         slices.Clone(o.Cluster.Status.Conditions),
		ObservedGeneration: o.Cluster.Generation,
		Ready:              fmt.Sprintf("%d/%d", serving, o.desired()),
		Replicas:           sizeForAutoscaler(o, min(o.staying(), o.desired())),
		ReadyReplicas:      o.count(gateway.ready),
		UpdatedReplicas:    updatedReplicas(o),
		DrainingReplicas:   o.count(gateway.draining),
		Selector:           o.Selector,
		Connections:        connections(o),
		Capacity:           capacity(o),
		Drain:              drainStatuses(o),
		RedisStartedAt:     redisStartedAt(o),
		Effective:          effective(o),
		URLs:               urls(o),
	}
	conditions := []metav1.Condition{
		available(o),
		progressing(o),
		draining(o),
		backplane(o),
		metrics(o),
		exposed(o),
		accepted(o),
	}
	for _, computed := range append(conditions, summary(o, conditions)...) {
		computed.ObservedGeneration = o.Cluster.Generation
		computed.LastTransitionTime = metav1.NewTime(o.Now)
		meta.SetStatusCondition(&status.Conditions, computed)
	}
	return status
}

// sizeForAutoscaler returns the number of serving gateways, by which an autoscaler divides the fleet's connections.
// While none serves, it is the number that the Deployment asks for: gateways that start are no reason to scale.
func sizeForAutoscaler(o Observation, serving int32) int32 {
	if serving > 0 || o.desired() == 0 {
		return serving
	}
	if o.Gateways != nil && o.Gateways.Spec.Replicas != nil && *o.Gateways.Spec.Replicas > 0 {
		return *o.Gateways.Spec.Replicas
	}
	return o.desired()
}

// updatedReplicas returns 0 until the Deployment has observed its spec: what it counts before is of an older version.
func updatedReplicas(o Observation) int32 {
	if o.Gateways == nil || o.Gateways.Status.ObservedGeneration < o.Gateways.Generation {
		return 0
	}
	return o.Gateways.Status.UpdatedReplicas
}

// connections returns the number of open client connections, by the gateways' reports. A gateway whose pod is being
// deleted and that no longer answers has handed over its clients, which other gateways count.
func connections(o Observation) int64 {
	var sum int64
	for _, g := range o.gateways() {
		if ended := g.stale && g.pod.DeletionTimestamp != nil; g.report != nil && !g.lost && !ended {
			sum += int64(g.report.Connections)
		}
	}
	return sum
}

// capacity returns how many connections the serving gateways can hold. A gateway that has not reported yet counts with
// the spec's maxConnections.
func capacity(o Observation) int64 {
	var sum int64
	for _, g := range o.gateways() {
		switch {
		case !g.serving():
		case g.report != nil:
			sum += int64(g.report.MaxConnections)
		default:
			sum += int64(*o.spec().Gateway.MaxConnections)
		}
	}
	return sum
}

// effective returns what is in use. The image and the grace period are those of the Deployment that exists, which an
// admission policy may have changed.
func effective(o Observation) v1alpha1.EffectiveStatus {
	image, grace := o.Image, render.GracePeriodSeconds(o.spec().Drain)
	if o.Gateways != nil {
		pod := o.Gateways.Spec.Template.Spec
		if pod.TerminationGracePeriodSeconds != nil {
			grace = *pod.TerminationGracePeriodSeconds
		}
		for _, container := range pod.Containers {
			if container.Name == render.ComponentGateway {
				image = container.Image
			}
		}
	}
	return v1alpha1.EffectiveStatus{
		Image:                         image,
		Redis:                         effectiveRedis(o.spec().Redis),
		IngressProfile:                string(o.Class.Profile),
		Metrics:                       string(o.Metrics),
		TerminationGracePeriodSeconds: grace,
	}
}

// effectiveRedis returns the mode of an external Redis, Managed or None.
func effectiveRedis(redis *v1alpha1.RedisSpec) string {
	switch {
	case redis.External != nil:
		return string(redis.External.Mode)
	case redis.Managed != nil:
		return "Managed"
	default:
		return "None"
	}
}

// condition returns a condition with the status True or False.
func condition(kind string, value bool, reason, message string) metav1.Condition {
	status := metav1.ConditionFalse
	if value {
		status = metav1.ConditionTrue
	}
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
}

// unknown returns a condition with the status Unknown.
func unknown(kind, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: metav1.ConditionUnknown, Reason: reason, Message: message}
}
