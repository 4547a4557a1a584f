package v1alpha1

// MetadataSpec has labels and annotations for all objects of a fleet.
type MetadataSpec struct {
	// labels are added to every object that the operator creates for the fleet, but not to pods, so that a change of them
	// restarts none: at most 64. Gateway pods have spec.pod.labels. The operator's own labels are reserved.
	// +optional
	Labels Labels `json:"labels,omitempty"`

	// annotations are added to every object that the operator creates for the fleet, but not to pods: at most 64.
	// spec.service.annotations, spec.ingress.annotations and the ingress profile override them. The prefix wsfleet.dev/ is
	// reserved.
	// +optional
	Annotations Annotations `json:"annotations,omitempty"`
}

// Labels are labels by name.
//
// +kubebuilder:validation:MaxProperties=64
// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('wsfleet.dev/') && !(k in ['app.kubernetes.io/name', 'app.kubernetes.io/instance', 'app.kubernetes.io/component', 'app.kubernetes.io/managed-by', 'app.kubernetes.io/part-of']))",message="the prefix wsfleet.dev/ and the labels app.kubernetes.io/name, instance, component, managed-by and part-of are reserved for the operator: use other label names"
// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="each name must be a label name, such as team or example.com/team: up to 63 letters, digits, '-', '_' and '.', after an optional domain and '/'"
// +kubebuilder:validation:XValidation:rule="self.all(k, !format.labelValue().validate(self[k]).hasValue())",message="each value must be a label value: up to 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends"
type Labels map[string]LabelValue

// LabelValue is the value of a label.
//
// +kubebuilder:validation:MaxLength=63
type LabelValue string

// Strings returns the labels as Kubernetes' own types have them.
func (l Labels) Strings() map[string]string { return labelStrings(l) }

// Annotations are annotations by name.
//
// +kubebuilder:validation:MaxProperties=64
// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('wsfleet.dev/'))",message="the prefix wsfleet.dev/ is reserved for the operator: use other annotation names"
// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="each name must be an annotation name, such as team or example.com/team: up to 63 letters, digits, '-', '_' and '.', after an optional domain and '/'"
type Annotations map[string]string

// NodeLabels are the labels that a node must have.
//
// +kubebuilder:validation:MaxProperties=64
// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="each name must be a label name, such as team or example.com/team: up to 63 letters, digits, '-', '_' and '.', after an optional domain and '/'"
// +kubebuilder:validation:XValidation:rule="self.all(k, !format.labelValue().validate(self[k]).hasValue())",message="each value must be a label value: up to 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends"
type NodeLabels map[string]LabelValue

// Strings returns the labels as Kubernetes' own types have them.
func (l NodeLabels) Strings() map[string]string { return labelStrings(l) }

func labelStrings(labels map[string]LabelValue) map[string]string {
	plain := make(map[string]string, len(labels))
	for name, value := range labels {
		plain[name] = string(value)
	}
	return plain
}
