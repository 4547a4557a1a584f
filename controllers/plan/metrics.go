package plan

import "github.com/wsfleet/wsfleet/api/v1alpha1"

// MetricsSource returns where the autoscaler reads connections, BuiltIn or Existing, or "" without an autoscaler. Auto
// gives way to a foreign server, which serves the autoscalers of others too, and of which a cluster has only one.
func MetricsSource(autoscaling *v1alpha1.AutoscalingSpec, foreign bool) v1alpha1.AutoscalingMetrics {
	switch {
	case autoscaling == nil:
		return ""
	case autoscaling.Metrics != v1alpha1.AutoscalingMetricsAuto:
		return autoscaling.Metrics
	case foreign:
		return v1alpha1.AutoscalingMetricsExisting
	default:
		return v1alpha1.AutoscalingMetricsBuiltIn
	}
}
