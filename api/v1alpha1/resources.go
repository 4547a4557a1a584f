package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// ResourceRequirements are what a container requests and what it may use at most.
type ResourceRequirements struct {
	// limits that the container is held to.
	// +optional
	Limits Quantities `json:"limits,omitempty"`

	// requests that the scheduler sets aside.
	// +optional
	Requests Quantities `json:"requests,omitempty"`
}

// Kubernetes' own schema of a quantity lets texts through that no program can read, and one of them
// would keep the operator from reading any cluster: hence a type with a rule.

// Quantities are amounts by resource, such as cpu: 500m and memory: 256Mi.
//
// +kubebuilder:validation:MaxProperties=8
// +kubebuilder:validation:XValidation:rule="self.all(r, type(self[r]) == int || isQuantity(self[r]))",message="each must be a quantity, such as 500m or 256Mi"
type Quantities map[corev1.ResourceName]resource.Quantity
