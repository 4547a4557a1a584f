package status

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// Decide makes the whole status.
func Compute(o Observation) v1alpha1.WebSocketClusterStatus {
	// Surge is left out: the autoscaler must not take it for the fleet's size.
	serving := min(o.serving(), o.wanted())
	status := v1alpha1.WebSocketClusterStatus{
		ObservedGeneration: o.Cluster.Generation,
		Ready:              fmt.Sprintf("%d/%d", serving, o.wanted()),
		Replicas:           serving,
		ReadyReplicas:      o.count(gateway.ready),
		UpdatedReplicas:    updated(o),
		DrainingReplicas:   o.count(gateway.draining),
		Selector:           o.Selector,
		Connections:        connections(o),
		Capacity:           capacity(o),
		Drain:              drains(o),
		Effective:          effective(o),
		URLs:               urls(o),
		Conditions:         append([]metav1.Condition(nil), o.Cluster.Status.Conditions...),
	}
	for _, decided := range []metav1.Condition{
		available(o),
		progressing(o),
		draining(o),
		backplane(o),
		metrics(o),
		exposed(o),
		accepted(o),
	} {
		decided.ObservedGeneration = o.Cluster.Generation
		decided.LastTransitionTime = metav1.NewTime(o.Now)
		meta.SetStatusCondition(&status.Conditions, decided)
	}
	return status
}

func updated(o Observation) int32 {
	if o.Gateways == nil || o.Gateways.Status.ObservedGeneration < o.Gateways.Generation {
		return 0
	}
	return o.Gateways.Status.UpdatedReplicas
}

func connections(o Observation) int64 {
	var sum int64
	for _, one := range o.gateways() {
		if one.report != nil {
			sum += int64(one.report.Connections)
		}
	}
	return sum
}

// capacity counts a gateway that has not reported yet with what the spec gives it.
func capacity(o Observation) int64 {
	var sum int64
	for _, one := range o.gateways() {
		switch {
		case !one.serving():
		case one.report != nil:
			sum += int64(one.report.MaxConnections)
		default:
			sum += int64(*o.spec().Gateway.MaxConnections)
		}
	}
	return sum
}

func effective(o Observation) v1alpha1.EffectiveStatus {
	return v1alpha1.EffectiveStatus{
		Image:                         o.Image,
		Redis:                         redisKind(o.spec().Redis),
		IngressProfile:                string(o.Class.Profile),
		TerminationGracePeriodSeconds: render.GracePeriodSeconds(o.spec().Drain),
	}
}

func redisKind(redis *v1alpha1.RedisSpec) string {
	switch {
	case redis.External != nil:
		return string(redis.External.Mode)
	case redis.Managed != nil:
		return "Managed"
	default:
		return "None"
	}
}

func condition(kind string, is bool, reason, message string) metav1.Condition {
	value := metav1.ConditionFalse
	if is {
		value = metav1.ConditionTrue
	}
	return metav1.Condition{Type: kind, Status: value, Reason: reason, Message: message}
}

func unknown(kind, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: metav1.ConditionUnknown, Reason: reason, Message: message}
}
