package render

import (
	policyv1 "k8s.io/api/policy/v1"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
	policyac "k8s.io/client-go/applyconfigurations/policy/v1"
)

// gatewayBudget returns the PodDisruptionBudget, which limits how many gateways evictions take away at once. A fleet of
// one gateway has none, because its node could never be drained. A gateway that is not ready can always be evicted.
func gatewayBudget(in Input) (any, error) {
	if *in.Spec.Replicas <= 1 {
		return nil, nil
	}
	return policyac.PodDisruptionBudget(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithOwnerReferences(in.owner()).
		WithSpec(policyac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(*in.Spec.Disruption.MaxUnavailable).
			WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow).
			WithSelector(metaac.LabelSelector().
				WithMatchLabels(SelectorLabels(in.Name, ComponentGateway)))), nil
}
