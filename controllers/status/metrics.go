package status

import (
	"fmt"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/internal/contract"
)

const (
	// autoscalerGrace is how long the HorizontalPodAutoscaler may fail until the condition is false: it fails for a while
	// when it is new, and when a single request fails.
	autoscalerGrace = time.Minute
	// silenceGrace is how long a ready gateway may leave scrapes unanswered until the condition is false.
	silenceGrace = 30 * time.Second
)

// metrics is true while the number of connections is known, and the autoscaler reads it or there is none.
func metrics(o Observation) metav1.Condition {
	current, _ := metricsAt(o)
	return current
}

// MetricsRecheck returns after which time the condition MetricsAvailable may change although nothing that the operator
// watches does, or 0 for never.
func MetricsRecheck(o Observation) time.Duration {
	_, after := metricsAt(o)
	return after
}

// metricsAt returns the condition, and the time after which it has to be computed again, or 0.
func metricsAt(o Observation) (metav1.Condition, time.Duration) {
	const kind = v1alpha1.ConditionMetricsAvailable
	if other := secondAutoscaler(o); other != "" {
		return condition(kind, false, v1alpha1.ReasonSecondAutoscaler, other), 0
	}
	silent, next := silentGateways(o)
	if silent > 0 {
		return condition(kind, false, v1alpha1.ReasonGatewaysSilent, fmt.Sprintf(
			"%d of %d ready gateways do not answer the operator, so their connections are not counted: check that "+
				"firewalls and NetworkPolicies let the operator reach port %d of the pods",
			silent, o.count(gateway.ready), contract.AdminPort)), next
	}
	if o.spec().Autoscaling == nil {
		return condition(kind, true, v1alpha1.ReasonNotNeeded, autoscalingOff(o)), next
	}
	current, grace := byAutoscaler(o)
	return current, sooner(next, grace)
}

// sooner returns the shorter of two durations, where 0 stands for never.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// autoscalingOff is the message of a fleet without spec.autoscaling. An autoscaler of the user is named, and what it
// says when it does not work.
func autoscalingOff(o Observation) string {
	const off = "autoscaling is off (spec.autoscaling is not set)"
	if len(o.OtherAutoscalers) == 0 {
		return off
	}
	other := &o.OtherAutoscalers[0]
	message := off + "; the HorizontalPodAutoscaler " + other.Name + " scales the WebSocketCluster"
	if failed := failedScaling(other); failed != nil && failed.Reason != v1alpha1.ReasonScalingDisabled {
		message += fmt.Sprintf(", and says %s: %s", failed.Reason, failed.Message)
	}
	return message
}

// secondAutoscaler returns a message about a HorizontalPodAutoscaler of another client that does not go together with
// the fleet, or "". One that scales the WebSocketCluster of a spec without autoscaling is the user's choice. One that
// scales the Deployment changes a number that the operator changes back.
func secondAutoscaler(o Observation) string {
	for _, other := range o.OtherAutoscalers {
		target := other.Spec.ScaleTargetRef
		switch {
		case o.spec().Autoscaling != nil:
			return fmt.Sprintf("the HorizontalPodAutoscaler %s scales the %s %s, and spec.autoscaling scales it too, so "+
				"neither works: delete the HorizontalPodAutoscaler, or remove spec.autoscaling and let it scale the "+
				"WebSocketCluster", other.Name, target.Kind, target.Name)
		case target.Kind != v1alpha1.KindWebSocketCluster:
			return fmt.Sprintf("the HorizontalPodAutoscaler %s scales the %s %s, whose size the operator sets to "+
				"spec.replicas: delete it, and set spec.autoscaling, or let it scale the WebSocketCluster",
				other.Name, target.Kind, target.Name)
		}
	}
	return ""
}

// silentGateways returns how many ready gateways have not answered for silenceGrace, and after which time the number
// may grow, or 0 for never.
func silentGateways(o Observation) (int, time.Duration) {
	var silent int
	var next time.Duration
	for _, g := range o.gateways() {
		since := g.silentSince()
		if since.IsZero() {
			continue
		}
		if left := since.Add(silenceGrace).Sub(o.Now); left > 0 {
			next = sooner(next, left)
		} else {
			silent++
		}
	}
	return silent, next
}

// silentSince returns since when a ready gateway has not reported, or zero when it reports or is not ready.
func (g gateway) silentSince() time.Time {
	if !g.ready() || g.report != nil && !g.stale {
		return time.Time{}
	}
	if g.report != nil {
		return g.reportedAt
	}
	return fleet.ReadyCondition(g.pod).LastTransitionTime.Time
}

// byAutoscaler returns what the HorizontalPodAutoscaler says itself, and the rest of its grace, or 0.
func byAutoscaler(o Observation) (metav1.Condition, time.Duration) {
	const kind = v1alpha1.ConditionMetricsAvailable
	if o.Autoscaler == nil {
		return unknown(kind, v1alpha1.ReasonAutoscalerPending,
			"the HorizontalPodAutoscaler does not exist yet: if this lasts, see SpecAccepted"), 0
	}
	active := findScaling(o.Autoscaler, autoscalingv2.ScalingActive)
	failed := failedScaling(o.Autoscaler)
	switch {
	case active != nil && active.Reason == v1alpha1.ReasonScalingDisabled:
		return condition(kind, true, v1alpha1.ReasonScalingDisabled,
			"spec.replicas is 0, so the HorizontalPodAutoscaler waits: raise it to let it scale again"), 0
	case failed != nil:
		return byFailure(o, *failed)
	case active != nil:
		return condition(kind, true, v1alpha1.ReasonMetricsServed,
			"the HorizontalPodAutoscaler reads connections from "+metricsServer(o)+unusedTarget(o)), 0
	}
	if left := o.Autoscaler.CreationTimestamp.Add(autoscalerGrace).Sub(o.Now); left > 0 {
		return unknown(kind, v1alpha1.ReasonAutoscalerPending,
			"the HorizontalPodAutoscaler has not looked at the fleet yet"), left
	}
	return condition(kind, false, v1alpha1.ReasonAutoscalerFailed,
		"the HorizontalPodAutoscaler has not looked at the fleet: check that kube-controller-manager runs"), 0
}

// byFailure returns the condition of an autoscaler that fails, in its own words.
func byFailure(o Observation, failed autoscalingv2.HorizontalPodAutoscalerCondition) (metav1.Condition, time.Duration) {
	const kind = v1alpha1.ConditionMetricsAvailable
	words := fmt.Sprintf("the HorizontalPodAutoscaler says %s: %s", failed.Reason, failed.Message)
	if left := failed.LastTransitionTime.Add(autoscalerGrace).Sub(o.Now); left > 0 {
		return unknown(kind, v1alpha1.ReasonAutoscalerPending, words+": wait a minute"), left
	}
	reason, remedy := scalingRemedy(o, failed.Reason)
	return condition(kind, false, reason, words+": "+remedy), 0
}

// scalingRemedy returns our reason for the one that the HorizontalPodAutoscaler gives, and what the user can do.
func scalingRemedy(o Observation, autoscalerReason string) (reason, remedy string) {
	switch {
	case autoscalerReason == "AmbiguousSelector":
		return v1alpha1.ReasonSecondAutoscaler, "delete the other HorizontalPodAutoscaler, or remove spec.autoscaling"
	case autoscalerReason == "FailedGetContainerResourceMetric":
		return v1alpha1.ReasonMetricUnreadable, "spec.autoscaling.cpuUtilizationPercent requires metrics-server and " +
			"spec.resources.requests.cpu: install it and set the field, or remove spec.autoscaling.cpuUtilizationPercent"
	case !strings.HasPrefix(autoscalerReason, "FailedGet") || autoscalerReason == "FailedGetScale":
		return v1alpha1.ReasonAutoscalerFailed, "see the events of the HorizontalPodAutoscaler"
	case o.MetricsOwner == "":
		return v1alpha1.ReasonNoMetricsAPI, "no server has custom.metrics.k8s.io: install wsfleet's metrics API, or " +
			"another server that has the metric"
	case o.Metrics == v1alpha1.AutoscalingMetricsBuiltIn && metricsAPICause(o) != "":
		return v1alpha1.ReasonMetricUnreadable, "the metrics API of " + o.MetricsOwner + " does not run: " +
			metricsAPICause(o)
	case o.Metrics == v1alpha1.AutoscalingMetricsBuiltIn:
		return v1alpha1.ReasonMetricUnreadable, "custom.metrics.k8s.io belongs to " + o.MetricsOwner +
			": see its pods and logs, or set spec.autoscaling.metrics to Existing if that server is not wsfleet's"
	default:
		return v1alpha1.ReasonMetricUnreadable, fmt.Sprintf("custom.metrics.k8s.io belongs to %s: give it a rule for "+
			"the %s metric %s, or name another in spec.autoscaling.existingMetric",
			o.MetricsOwner, o.spec().Autoscaling.ExistingMetric.Type, o.spec().Autoscaling.ExistingMetric.Name)
	}
}

// AutoscalerFails reports whether the autoscaler says that it does not work.
func (o Observation) AutoscalerFails() bool {
	return o.Autoscaler != nil && failedScaling(o.Autoscaler) != nil
}

// metricsAPICause returns why the pods of the metrics API do not run, with the remedy, or "" when Kubernetes does not
// say.
func metricsAPICause(o Observation) string {
	if found := findCause(o.MetricsAPI, o.MetricsAPIPods, metricsAPIFields); found != nil {
		return found.message
	}
	return ""
}

// metricsServer names the server that the autoscaler reads from.
func metricsServer(o Observation) string {
	if o.MetricsOwner == "" {
		return "custom.metrics.k8s.io"
	}
	return o.MetricsOwner
}

// unusedTarget returns a clause about a target of the spec that has no effect, or "". The schema refuses such a target
// only where the spec itself asks for another server.
func unusedTarget(o Observation) string {
	if o.spec().Autoscaling.MaxUtilizationPercent == nil || o.Metrics == v1alpha1.AutoscalingMetricsBuiltIn {
		return ""
	}
	return "; spec.autoscaling.maxUtilizationPercent has no effect, because it requires the built-in metrics"
}

// failedScaling returns the condition by which the autoscaler says that it does not work, or nil.
func failedScaling(hpa *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscalerCondition {
	for _, kind := range []autoscalingv2.HorizontalPodAutoscalerConditionType{
		autoscalingv2.AbleToScale, autoscalingv2.ScalingActive,
	} {
		if found := findScaling(hpa, kind); found != nil && found.Status == corev1.ConditionFalse {
			return found
		}
	}
	return nil
}

// findScaling returns a condition of the autoscaler, or nil.
func findScaling(
	hpa *autoscalingv2.HorizontalPodAutoscaler, kind autoscalingv2.HorizontalPodAutoscalerConditionType,
) *autoscalingv2.HorizontalPodAutoscalerCondition {
	for i := range hpa.Status.Conditions {
		if hpa.Status.Conditions[i].Type == kind {
			return &hpa.Status.Conditions[i]
		}
	}
	return nil
}
