package status

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// metrics is true while the autoscaler can read the number of connections, or there is no autoscaler.
func metrics(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionMetricsAvailable
	switch {
	case o.spec().Autoscaling == nil:
		return condition(kind, true, v1alpha1.ReasonNotNeeded, "autoscaling is off (spec.autoscaling is not set)")
	case o.MetricsServed:
		return condition(kind, true, v1alpha1.ReasonMetricsServed, "the custom metrics API is served")
	default:
		return condition(kind, false, v1alpha1.ReasonNoMetricsAPI,
			"nothing serves custom.metrics.k8s.io, so spec.autoscaling has no effect: install a custom metrics adapter, "+
				"such as prometheus-adapter, that serves the Pods metric "+contract.MetricConnections)
	}
}
