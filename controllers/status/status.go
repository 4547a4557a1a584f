package status

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// Decide makes the whole status.
func Decide(f Facts) v1alpha1.WebSocketClusterStatus {
	// Surge is left out: the autoscaler must not take it for the fleet's size.
	serving := min(f.serving(), f.wanted())
	status := v1alpha1.WebSocketClusterStatus{
		ObservedGeneration: f.Cluster.Generation,
		Ready:              fmt.Sprintf("%d/%d", serving, f.wanted()),
		Replicas:           serving,
		ReadyReplicas:      f.count(gateway.ready),
		UpdatedReplicas:    updated(f),
		DrainingReplicas:   f.count(gateway.draining),
		Selector:           f.Selector,
		Connections:        connections(f),
		Capacity:           capacity(f),
		Drain:              drains(f),
		Effective:          effective(f),
		URLs:               urls(f),
		Conditions:         append([]metav1.Condition(nil), f.Cluster.Status.Conditions...),
	}
	for _, decided := range []metav1.Condition{
		available(f),
		progressing(f),
		draining(f),
		backplane(f),
		metrics(f),
		exposed(f),
		accepted(f),
	} {
		decided.ObservedGeneration = f.Cluster.Generation
		decided.LastTransitionTime = metav1.NewTime(f.Now)
		meta.SetStatusCondition(&status.Conditions, decided)
	}
	return status
}

func updated(f Facts) int32 {
	if f.Gateways == nil || f.Gateways.Status.ObservedGeneration < f.Gateways.Generation {
		return 0
	}
	return f.Gateways.Status.UpdatedReplicas
}

func connections(f Facts) int64 {
	var sum int64
	for _, one := range f.gateways() {
		if one.report != nil {
			sum += int64(one.report.Connections)
		}
	}
	return sum
}

// capacity counts a gateway that has not reported yet with what the spec gives it.
func capacity(f Facts) int64 {
	var sum int64
	for _, one := range f.gateways() {
		switch {
		case !one.serving():
		case one.report != nil:
			sum += int64(one.report.MaxConnections)
		default:
			sum += int64(*f.spec().Gateway.MaxConnections)
		}
	}
	return sum
}

func effective(f Facts) v1alpha1.EffectiveStatus {
	return v1alpha1.EffectiveStatus{
		Image:                         f.Image,
		Redis:                         redisKind(f.spec().Redis),
		IngressProfile:                string(f.Class.Profile),
		TerminationGracePeriodSeconds: render.GracePeriodSeconds(f.spec().Drain),
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
