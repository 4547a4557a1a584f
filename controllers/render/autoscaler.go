package render

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	autoscalingac "k8s.io/client-go/applyconfigurations/autoscaling/v2"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// The default way down: slow, because a fleet that shrinks moves clients, and a terminating
// gateway's connections are missing from the metric until they come back on others.
const (
	scaleDownWindowSeconds = 600
	scaleDownPeriodSeconds = 120
	scaleDownPods          = 1
	scaleDownPercent       = 10
)

// gatewayAutoscaler scales on connections. It targets the WebSocketCluster, so that every change of
// size goes through the operator.
func gatewayAutoscaler(in Input) (any, error) {
	wanted := in.Spec.Autoscaling
	if wanted == nil {
		return nil, nil
	}
	behavior, err := scalingBehavior(wanted.Behavior)
	if err != nil {
		return nil, err
	}
	spec := autoscalingac.HorizontalPodAutoscalerSpec().
		WithScaleTargetRef(autoscalingac.CrossVersionObjectReference().
			WithAPIVersion(v1alpha1.GroupVersion.String()).
			WithKind(v1alpha1.KindWebSocketCluster).
			WithName(in.Name)).
		WithMinReplicas(*wanted.MinReplicas).
		WithMaxReplicas(wanted.MaxReplicas).
		WithBehavior(behavior).
		WithMetrics(autoscalingac.MetricSpec().
			WithType(autoscalingv2.PodsMetricSourceType).
			WithPods(autoscalingac.PodsMetricSource().
				WithMetric(autoscalingac.MetricIdentifier().WithName(contract.MetricConnections)).
				WithTarget(autoscalingac.MetricTarget().
					WithType(autoscalingv2.AverageValueMetricType).
					WithAverageValue(*resource.NewQuantity(targetConnections(in.Spec), resource.DecimalSI)))))
	if wanted.CPUUtilizationPercent != nil {
		spec.WithMetrics(autoscalingac.MetricSpec().
			WithType(autoscalingv2.ResourceMetricSourceType).
			WithResource(autoscalingac.ResourceMetricSource().
				WithName(corev1.ResourceCPU).
				WithTarget(autoscalingac.MetricTarget().
					WithType(autoscalingv2.UtilizationMetricType).
					WithAverageUtilization(*wanted.CPUUtilizationPercent))))
	}
	return autoscalingac.HorizontalPodAutoscaler(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithOwnerReferences(in.owner()).
		WithSpec(spec), nil
}

// targetConnections is how many connections each gateway shall have, at least one.
func targetConnections(spec v1alpha1.WebSocketClusterSpec) int64 {
	if target := spec.Autoscaling.TargetConnectionsPerPod; target != nil {
		return int64(*target)
	}
	share := int64(*spec.Gateway.MaxConnections) * int64(*spec.Autoscaling.TargetUtilizationPercent) / 100
	return max(1, share)
}

// scalingBehavior is the user's, with the slow way down where they say nothing of it.
func scalingBehavior(wanted *autoscalingv2.HorizontalPodAutoscalerBehavior) (*autoscalingac.HorizontalPodAutoscalerBehaviorApplyConfiguration, error) {
	behavior := autoscalingac.HorizontalPodAutoscalerBehavior()
	if wanted != nil {
		var err error
		if behavior, err = convert[autoscalingac.HorizontalPodAutoscalerBehaviorApplyConfiguration](wanted); err != nil {
			return nil, err
		}
	}
	if behavior.ScaleDown == nil {
		behavior.WithScaleDown(autoscalingac.HPAScalingRules().
			WithStabilizationWindowSeconds(scaleDownWindowSeconds).
			WithSelectPolicy(autoscalingv2.MinChangePolicySelect).
			WithPolicies(
				autoscalingac.HPAScalingPolicy().
					WithType(autoscalingv2.PodsScalingPolicy).
					WithValue(scaleDownPods).
					WithPeriodSeconds(scaleDownPeriodSeconds),
				autoscalingac.HPAScalingPolicy().
					WithType(autoscalingv2.PercentScalingPolicy).
					WithValue(scaleDownPercent).
					WithPeriodSeconds(scaleDownPeriodSeconds)))
	}
	return behavior, nil
}
