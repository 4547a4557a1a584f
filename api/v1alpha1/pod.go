package v1alpha1

import corev1 "k8s.io/api/core/v1"

// PodSpec is what gateway pods get besides what the operator sets.
type PodSpec struct {
	// labels added to gateway pods.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('wsfleet.dev/') && !(k in ['app.kubernetes.io/name', 'app.kubernetes.io/instance', 'app.kubernetes.io/component', 'app.kubernetes.io/managed-by', 'app.kubernetes.io/part-of']))",message="the prefix wsfleet.dev/ and the labels app.kubernetes.io/name, instance, component, managed-by and part-of are the operator's own: use other label names"
	Labels map[string]string `json:"labels,omitempty"`

	// annotations added to gateway pods.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('wsfleet.dev/'))",message="the prefix wsfleet.dev/ is the operator's own: use other annotation names"
	Annotations map[string]string `json:"annotations,omitempty"`

	// nodeSelector of gateway pods.
	// +optional
	// +mapType=atomic
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// tolerations of gateway pods.
	// +optional
	// +listType=atomic
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// affinity of gateway pods.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// topologySpreadConstraints of gateway pods; by default pods spread over zones and nodes as far
	// as there are any.
	// +optional
	// +listType=map
	// +listMapKey=topologyKey
	// +listMapKey=whenUnsatisfiable
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// priorityClassName of gateway pods.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// env is more environment for the gateway container. The gateway's settings are spec fields: of
	// the variables that begin with WSFLEET_ only WSFLEET_LOG_LEVEL and WSFLEET_LOG_FORMAT may be set.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:XValidation:rule="self.all(e, !has(e.valueFrom) || !has(e.valueFrom.resourceFieldRef) || !has(e.valueFrom.resourceFieldRef.divisor) || type(e.valueFrom.resourceFieldRef.divisor) == int || e.valueFrom.resourceFieldRef.divisor in ['0', '1', '1m', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei'])",message="each valueFrom.resourceFieldRef.divisor must be 1 of a unit, such as 1, 1m or 1Mi"
	// +kubebuilder:validation:XValidation:rule="self.all(e, !e.name.startsWith('WSFLEET_') || e.name in ['WSFLEET_LOG_LEVEL', 'WSFLEET_LOG_FORMAT'])",message="variables that begin with WSFLEET_ are the operator's own, except WSFLEET_LOG_LEVEL and WSFLEET_LOG_FORMAT: use the fields of spec.gateway, spec.redis and spec.drain"
	Env []corev1.EnvVar `json:"env,omitempty"`
}
