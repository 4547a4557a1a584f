package render

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
)

// maxAffinityWeight is the highest weight of a preferred affinity.
const maxAffinityWeight = 100

// topologySpread returns the spec's constraints, or by default one that spreads the gateways over nodes where possible.
// A constraint without a selector applies to the fleet's own gateways.
func topologySpread(in Input) ([]*coreac.TopologySpreadConstraintApplyConfiguration, error) {
	constraints, err := convertAll[coreac.TopologySpreadConstraintApplyConfiguration](
		in.Spec.Pod.TopologySpreadConstraints)
	if err != nil {
		return nil, err
	}
	for _, constraint := range constraints {
		if constraint.LabelSelector == nil {
			constraint.WithLabelSelector(gatewaySelector(in))
		}
	}
	if len(constraints) == 0 {
		constraints = append(constraints, coreac.TopologySpreadConstraint().
			WithMaxSkew(1).
			WithTopologyKey(corev1.LabelHostname).
			WithWhenUnsatisfiable(corev1.ScheduleAnyway).
			WithLabelSelector(gatewaySelector(in)).
			// Pods of each version are counted apart. Counted together with the old ones, the new pods of a rollout
			// would end up unevenly spread.
			WithMatchLabelKeys(appsv1.DefaultDeploymentUniqueLabelKey))
	}
	return constraints, nil
}

// spreadOverZones lets a pod prefer zones with fewer gateways of its version, unless the spec says how to spread them.
// It is no spread constraint, because the scheduler obeys none of a pod's preferred ones on a node that lacks the label
// of one of them: gateways would not spread over nodes in a cluster without zones (Kubernetes 1.37,
// plugins/podtopologyspread).
func spreadOverZones(pod *coreac.PodSpecApplyConfiguration, in Input) {
	affinity := pod.Affinity
	if affinity == nil {
		affinity = coreac.Affinity()
	}
	if len(in.Spec.Pod.TopologySpreadConstraints) > 0 || affinity.PodAntiAffinity != nil {
		return
	}
	pod.WithAffinity(affinity.WithPodAntiAffinity(coreac.PodAntiAffinity().
		WithPreferredDuringSchedulingIgnoredDuringExecution(coreac.WeightedPodAffinityTerm().
			WithWeight(maxAffinityWeight).
			WithPodAffinityTerm(coreac.PodAffinityTerm().
				WithTopologyKey(corev1.LabelTopologyZone).
				WithLabelSelector(gatewaySelector(in)).
				WithMatchLabelKeys(appsv1.DefaultDeploymentUniqueLabelKey)))))
}

// gatewaySelector selects the gateways of the fleet.
func gatewaySelector(in Input) *metaac.LabelSelectorApplyConfiguration {
	return metaac.LabelSelector().WithMatchLabels(SelectorLabels(in.Name, ComponentGateway))
}
