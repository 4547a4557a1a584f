package v1alpha1

import corev1 "k8s.io/api/core/v1"

// PodSpec configures gateway pods beyond what the operator sets.
type PodSpec struct {
	// labels are added to gateway pods, at most 64. The operator's own labels are reserved.
	// +optional
	Labels Labels `json:"labels,omitempty"`

	// annotations are added to gateway pods, at most 64. The prefix wsfleet.dev/ is reserved.
	// +optional
	Annotations Annotations `json:"annotations,omitempty"`

	// nodeSelector are the labels that a node must have to run a gateway pod, at most 64.
	// +optional
	// +mapType=atomic
	NodeSelector NodeLabels `json:"nodeSelector,omitempty"`

	// tolerations are the tolerations of gateway pods.
	// +optional
	// +listType=atomic
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// affinity is the scheduling affinity of gateway pods. Without a podAntiAffinity, and without
	// topologySpreadConstraints, pods prefer zones with fewer gateways.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// topologySpreadConstraints are the spread constraints of gateway pods. A constraint without a selector applies to
	// the fleet's own gateway pods. By default, pods spread over nodes and zones where possible.
	// +optional
	// +listType=map
	// +listMapKey=topologyKey
	// +listMapKey=whenUnsatisfiable
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// priorityClassName is the name of the PriorityClass of gateway pods.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// env are additional environment variables of the gateway container, at most 128. Names that begin with WSFLEET_ are
	// reserved, except WSFLEET_LOG_LEVEL and WSFLEET_LOG_FORMAT: the other settings of gateways are fields of the spec.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:XValidation:rule="self.all(e, !has(e.valueFrom) || !has(e.valueFrom.resourceFieldRef) || !has(e.valueFrom.resourceFieldRef.divisor) || type(e.valueFrom.resourceFieldRef.divisor) == int || e.valueFrom.resourceFieldRef.divisor in ['0', '1', '1m', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei'])",message="each valueFrom.resourceFieldRef.divisor must be one unit, such as 1, 1m or 1Mi"
	// +kubebuilder:validation:XValidation:rule="self.all(e, !e.name.startsWith('WSFLEET_') || e.name in ['WSFLEET_LOG_LEVEL', 'WSFLEET_LOG_FORMAT'])",message="variables that begin with WSFLEET_ are reserved for the operator, except WSFLEET_LOG_LEVEL and WSFLEET_LOG_FORMAT: use the fields of spec.gateway, spec.redis and spec.drain"
	Env []corev1.EnvVar `json:"env,omitempty"`
}
