package render

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	autoscalingac "k8s.io/client-go/applyconfigurations/autoscaling/v2"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// The default policy for scaling down. It is slow, because scaling down disconnects clients, and the metric lacks the
// connections of a terminating gateway until its clients have reconnected to others.
const (
	scaleDownWindowSeconds = 600
	scaleDownPeriodSeconds = 120
	scaleDownPods          = 1
	scaleDownPercent       = 10
)

// gatewayAutoscaler returns the HorizontalPodAutoscaler, which scales on connections. Its target is the
// WebSocketCluster and not the Deployment, so that every change of the size passes through the operator. It returns nil
// where the spec has no autoscaling.
func gatewayAutoscaler(in Input) (any, error) {
	autoscaling := in.Spec.Autoscaling
	if autoscaling == nil {
		return nil, nil
	}
	behavior, err := scalingBehavior(autoscaling.Behavior)
	if err != nil {
		return nil, err
	}
	spec := autoscalingac.HorizontalPodAutoscalerSpec().
		WithScaleTargetRef(autoscalingac.CrossVersionObjectReference().
			WithAPIVersion(v1alpha1.GroupVersion.String()).
			WithKind(v1alpha1.KindWebSocketCluster).
			WithName(in.Name)).
		WithMinReplicas(*autoscaling.MinReplicas).
		WithMaxReplicas(autoscaling.MaxReplicas).
		WithBehavior(behavior).
		WithMetrics(autoscalingac.MetricSpec().
			WithType(autoscalingv2.PodsMetricSourceType).
			WithPods(autoscalingac.PodsMetricSource().
				WithMetric(autoscalingac.MetricIdentifier().WithName(contract.MetricConnections)).
				WithTarget(autoscalingac.MetricTarget().
					WithType(autoscalingv2.AverageValueMetricType).
					WithAverageValue(*resource.NewQuantity(targetConnections(in.Spec), resource.DecimalSI)))))
	if autoscaling.CPUUtilizationPercent != nil {
		spec.WithMetrics(autoscalingac.MetricSpec().
			WithType(autoscalingv2.ResourceMetricSourceType).
			WithResource(autoscalingac.ResourceMetricSource().
				WithName(corev1.ResourceCPU).
				WithTarget(autoscalingac.MetricTarget().
					WithType(autoscalingv2.UtilizationMetricType).
					WithAverageUtilization(*autoscaling.CPUUtilizationPercent))))
	}
	return autoscalingac.HorizontalPodAutoscaler(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithOwnerReferences(in.owner()).
		WithSpec(spec), nil
}

// targetConnections returns the average number of connections per gateway that the autoscaler aims at, at least 1.
func targetConnections(spec v1alpha1.WebSocketClusterSpec) int64 {
	if target := spec.Autoscaling.TargetConnectionsPerPod; target != nil {
		return int64(*target)
	}
	utilization := int64(*spec.Autoscaling.TargetUtilizationPercent)
	return max(1, int64(*spec.Gateway.MaxConnections)*utilization/100)
}

// behaviorConfiguration shortens the name of the generated type.
type behaviorConfiguration = autoscalingac.HorizontalPodAutoscalerBehaviorApplyConfiguration

// scalingBehavior returns the spec's behavior, with the default policy for scaling down where the spec has none.
func scalingBehavior(specified *autoscalingv2.HorizontalPodAutoscalerBehavior) (*behaviorConfiguration, error) {
	behavior := autoscalingac.HorizontalPodAutoscalerBehavior()
	if specified != nil {
		var err error
		if behavior, err = convert[behaviorConfiguration](specified); err != nil {
			return nil, err
		}
	}
	if behavior.ScaleDown == nil {
		behavior.WithScaleDown(defaultScaleDown())
	}
	return behavior, nil
}

func defaultScaleDown() *autoscalingac.HPAScalingRulesApplyConfiguration {
	return autoscalingac.HPAScalingRules().
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
				WithPeriodSeconds(scaleDownPeriodSeconds))
}
