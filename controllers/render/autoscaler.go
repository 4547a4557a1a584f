package render

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	autoscalingac "k8s.io/client-go/applyconfigurations/autoscaling/v2"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// gatewayAutoscaler returns the HorizontalPodAutoscaler, which scales on connections. Its target is the
// WebSocketCluster and not the Deployment, so that every change of the size passes through the operator. It returns nil
// where the spec has no autoscaling.
func gatewayAutoscaler(in Input) (any, error) {
	autoscaling := in.Spec.Autoscaling
	if autoscaling == nil {
		return nil, nil
	}
	behavior, err := scalingBehavior(in.Spec)
	if err != nil {
		return nil, err
	}
	return autoscalingac.HorizontalPodAutoscaler(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithOwnerReferences(in.owner()).
		WithSpec(autoscalingac.HorizontalPodAutoscalerSpec().
			WithScaleTargetRef(in.describedCluster()).
			WithMinReplicas(*autoscaling.MinReplicas).
			WithMaxReplicas(autoscaling.MaxReplicas).
			WithBehavior(behavior).
			WithMetrics(scalingMetrics(in)...)), nil
}

// describedCluster returns the reference of the WebSocketCluster in an autoscaler.
func (in Input) describedCluster() *autoscalingac.CrossVersionObjectReferenceApplyConfiguration {
	return autoscalingac.CrossVersionObjectReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).
		WithKind(v1alpha1.KindWebSocketCluster).
		WithName(in.Name)
}

// scalingMetrics returns what the autoscaler looks at. The metric that asks for the most gateways wins.
func scalingMetrics(in Input) []*autoscalingac.MetricSpecApplyConfiguration {
	autoscaling := in.Spec.Autoscaling
	metrics := []*autoscalingac.MetricSpecApplyConfiguration{connectionsMetric(in)}
	if percent := autoscaling.MaxUtilizationPercent; percent != nil && in.Metrics == v1alpha1.AutoscalingMetricsBuiltIn {
		metrics = append(metrics, objectMetric(in, contract.MetricConnectionsMaxRatio, autoscalingac.MetricTarget().
			WithType(autoscalingv2.ValueMetricType).
			WithValue(*resource.NewMilliQuantity(int64(*percent)*10, resource.DecimalSI))))
	}
	if percent := autoscaling.CPUUtilizationPercent; percent != nil {
		metrics = append(metrics, autoscalingac.MetricSpec().
			WithType(autoscalingv2.ContainerResourceMetricSourceType).
			// Of the container alone: a sidecar that an injector adds has no part in the load of clients.
			WithContainerResource(autoscalingac.ContainerResourceMetricSource().
				WithName(corev1.ResourceCPU).
				WithContainer(ComponentGateway).
				WithTarget(autoscalingac.MetricTarget().
					WithType(autoscalingv2.UtilizationMetricType).
					WithAverageUtilization(*percent))))
	}
	return metrics
}

// connectionsMetric returns the metric of the fleet's connections. The built-in one is a number of the whole fleet,
// because Kubernetes divides a metric of pods by their number, in which new gateways and draining ones count in full:
// they would hide an overload of the others.
func connectionsMetric(in Input) *autoscalingac.MetricSpecApplyConfiguration {
	target := autoscalingac.MetricTarget().
		WithType(autoscalingv2.AverageValueMetricType).
		WithAverageValue(*resource.NewQuantity(targetConnections(in.Spec), resource.DecimalSI))
	existing := in.Spec.Autoscaling.ExistingMetric
	switch {
	case in.Metrics == v1alpha1.AutoscalingMetricsBuiltIn:
		return objectMetric(in, contract.MetricConnections, target)
	case existing.Type == v1alpha1.ExistingMetricObject:
		return objectMetric(in, existing.Name, target)
	default:
		return autoscalingac.MetricSpec().
			WithType(autoscalingv2.PodsMetricSourceType).
			WithPods(autoscalingac.PodsMetricSource().
				WithMetric(autoscalingac.MetricIdentifier().WithName(existing.Name)).
				WithTarget(target))
	}
}

// objectMetric returns a metric of the WebSocketCluster.
func objectMetric(
	in Input, name string, target *autoscalingac.MetricTargetApplyConfiguration,
) *autoscalingac.MetricSpecApplyConfiguration {
	return autoscalingac.MetricSpec().
		WithType(autoscalingv2.ObjectMetricSourceType).
		WithObject(autoscalingac.ObjectMetricSource().
			WithDescribedObject(in.describedCluster()).
			WithMetric(autoscalingac.MetricIdentifier().WithName(name)).
			WithTarget(target))
}

// targetConnections returns the average number of connections per gateway that the autoscaler aims at, at least 1.
func targetConnections(spec v1alpha1.WebSocketClusterSpec) int64 {
	if target := spec.Autoscaling.TargetConnectionsPerPod; target != nil {
		return int64(*target)
	}
	utilization := int64(*spec.Autoscaling.TargetUtilizationPercent)
	return max(1, int64(*spec.Gateway.MaxConnections)*utilization/100)
}
