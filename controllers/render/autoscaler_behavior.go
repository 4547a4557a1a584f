package render

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	autoscalingac "k8s.io/client-go/applyconfigurations/autoscaling/v2"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// How the fleet grows by default: at once, because clients that find no room are refused.
const (
	scaleUpPeriodSeconds = 15
	scaleUpPods          = 1
	scaleUpPercent       = 100
	scaleUpTolerance     = 0.05
)

// How the fleet shrinks by default: slowly, because scaling down disconnects clients.
const (
	scaleDownWindowSeconds = 600
	scaleDownPeriodSeconds = 120
	scaleDownPods          = 1
	scaleDownPercent       = 10
	scaleDownTolerance     = 0.15
)

// These shorten the names of the generated types.
type (
	behaviorConfiguration = autoscalingac.HorizontalPodAutoscalerBehaviorApplyConfiguration
	rulesConfiguration    = autoscalingac.HPAScalingRulesApplyConfiguration
)

// scalingBehavior returns the spec's behavior, with a default for each field that the spec leaves out. It returns an
// error when the spec's behavior cannot be converted, which the schema rules out.
func scalingBehavior(spec v1alpha1.WebSocketClusterSpec) (*behaviorConfiguration, error) {
	specified := &behaviorConfiguration{}
	if spec.Autoscaling.Behavior != nil {
		var err error
		if specified, err = convert[behaviorConfiguration](spec.Autoscaling.Behavior); err != nil {
			return nil, err
		}
	}
	return autoscalingac.HorizontalPodAutoscalerBehavior().
		WithScaleUp(override(defaultScaleUp(), specified.ScaleUp)).
		WithScaleDown(override(defaultScaleDown(spec), specified.ScaleDown)), nil
}

// override returns rules with the fields that specified sets, which may be nil.
func override(rules, specified *rulesConfiguration) *rulesConfiguration {
	if specified == nil {
		return rules
	}
	if specified.StabilizationWindowSeconds != nil {
		rules.StabilizationWindowSeconds = specified.StabilizationWindowSeconds
	}
	if specified.SelectPolicy != nil {
		rules.SelectPolicy = specified.SelectPolicy
	}
	if len(specified.Policies) > 0 {
		rules.Policies = specified.Policies
	}
	if specified.Tolerance != nil {
		rules.Tolerance = specified.Tolerance
	}
	return rules
}

// defaultScaleUp doubles the fleet at most. The policy by pods lets a fleet of none begin.
func defaultScaleUp() *rulesConfiguration {
	return autoscalingac.HPAScalingRules().
		WithStabilizationWindowSeconds(0).
		WithSelectPolicy(autoscalingv2.MaxChangePolicySelect).
		WithTolerance(tolerance(scaleUpTolerance)).
		WithPolicies(
			scalingPolicy(autoscalingv2.PodsScalingPolicy, scaleUpPods, scaleUpPeriodSeconds),
			scalingPolicy(autoscalingv2.PercentScalingPolicy, scaleUpPercent, scaleUpPeriodSeconds))
}

func defaultScaleDown(spec v1alpha1.WebSocketClusterSpec) *rulesConfiguration {
	rules := autoscalingac.HPAScalingRules().
		WithStabilizationWindowSeconds(scaleDownWindowSeconds).
		WithSelectPolicy(autoscalingv2.MaxChangePolicySelect).
		WithTolerance(tolerance(scaleDownTolerance)).
		WithPolicies(scalingPolicy(autoscalingv2.PodsScalingPolicy, scaleDownPods, scaleDownPeriodSeconds))
	if percent := min(scaleDownPercent, drainablePercent(spec)); percent > 0 {
		rules.WithPolicies(scalingPolicy(autoscalingv2.PercentScalingPolicy, percent, scaleDownPeriodSeconds))
	}
	return rules
}

// drainablePercent returns which part of a fleet, in percent, may begin to drain in one period of scaling down. The
// gateways that stay must be able to accept the clients of those that drain, at spec.gateway.connectRate and within
// spec.drain.timeout. A drain may last for several periods, so that the gateways of several steps drain at once.
func drainablePercent(spec v1alpha1.WebSocketClusterSpec) int32 {
	rate := int64(*spec.Gateway.ConnectRate)
	if rate == 0 {
		return 100
	}
	accepted := rate * int64(spec.Drain.Timeout.Seconds())
	atOnce := 100 * accepted / (accepted + targetConnections(spec))
	const period = scaleDownPeriodSeconds * time.Second
	drain := time.Duration(GracePeriodSeconds(spec.Drain)) * time.Second
	steps := int64((drain + period - 1) / period)
	return int32(atOnce / steps)
}

// scalingPolicy returns a policy that changes at most value gateways, or percent of them, in a period.
func scalingPolicy(
	kind autoscalingv2.HPAScalingPolicyType, value, periodSeconds int32,
) *autoscalingac.HPAScalingPolicyApplyConfiguration {
	return autoscalingac.HPAScalingPolicy().WithType(kind).WithValue(value).WithPeriodSeconds(periodSeconds)
}

// tolerance returns a fraction with three digits as a quantity.
func tolerance(fraction float64) resource.Quantity {
	return *resource.NewMilliQuantity(int64(fraction*1000+0.5), resource.DecimalSI)
}
