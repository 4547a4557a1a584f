package render

import (
	"cmp"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
	policyac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// gatewayBudget returns the PodDisruptionBudget, which limits how many gateways evictions take away at once. A fleet of
// one gateway has none, because its node could never be drained, unless the spec asks for that. A gateway that is not
// ready can always be evicted: one that drains does so on, and its replacement comes sooner.
func gatewayBudget(in Input) (any, error) {
	disruption := in.Spec.Disruption
	maxUnavailable := *disruption.MaxUnavailable
	switch {
	case disruption.EvictionSafe == v1alpha1.EvictionSafeNever:
		maxUnavailable = intstr.FromInt32(0)
	case *cmp.Or(in.GatewayReplicas, in.Spec.Replicas) <= 1:
		return nil, nil
	case in.HoldEvictions:
		maxUnavailable = intstr.FromInt32(0)
	case scaled(&maxUnavailable, in.Spec, true) > maxTogether(in.Spec):
		maxUnavailable = intstr.FromInt32(int32(maxTogether(in.Spec)))
	}
	return policyac.PodDisruptionBudget(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithOwnerReferences(in.owner()).
		WithSpec(policyac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(maxUnavailable).
			WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow).
			WithSelector(metaac.LabelSelector().
				WithMatchLabels(SelectorLabels(in.Name, ComponentGateway)))), nil
}

// evictionAnnotations returns the annotations of gateway pods by which autoscalers of nodes leave nodes with gateways
// alone, or nil where they need not.
func evictionAnnotations(disruption v1alpha1.DisruptionSpec) map[string]string {
	if disruption.EvictionSafe == v1alpha1.EvictionSafeAlways {
		return nil
	}
	return map[string]string{
		"cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
		"karpenter.sh/do-not-disrupt":                    "true",
	}
}
