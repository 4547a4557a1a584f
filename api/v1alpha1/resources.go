package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// ResourceRequirements are the resource requests and limits of a container.
type ResourceRequirements struct {
	// limits are the maximum amounts of resources that the container may use.
	// +optional
	Limits Quantities `json:"limits,omitempty"`

	// requests are the amounts of resources that the scheduler reserves for the container.
	// +optional
	Requests Quantities `json:"requests,omitempty"`
}

// Kubernetes' own schema of a quantity accepts texts that cannot be parsed. The operator's cache could then decode no
// WebSocketCluster at all, so Quantities has a validation rule.

// Quantities are amounts of resources by name, such as cpu: 500m and memory: 256Mi.
//
// +kubebuilder:validation:MaxProperties=8
// +kubebuilder:validation:XValidation:rule="self.all(r, type(self[r]) == int ? self[r] >= 0 : (isQuantity(self[r]) && !quantity(self[r]).isLessThan(quantity('0'))))",message="each must be a quantity from 0, such as 500m or 256Mi"
type Quantities map[corev1.ResourceName]resource.Quantity
