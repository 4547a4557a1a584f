package v1alpha1

import autoscalingv2 "k8s.io/api/autoscaling/v2"

// AutoscalingSpec scales the fleet on its connections.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",message="must not be greater than spec.autoscaling.maxReplicas: lower spec.autoscaling.minReplicas or raise spec.autoscaling.maxReplicas",fieldPath=".minReplicas"
// +kubebuilder:validation:XValidation:rule="!(has(self.targetConnectionsPerPod) && has(self.targetUtilizationPercent))",message="targetConnectionsPerPod and targetUtilizationPercent exclude each other: remove spec.autoscaling.targetConnectionsPerPod or spec.autoscaling.targetUtilizationPercent"
type AutoscalingSpec struct {
	// minReplicas is the smallest fleet; by default 2, or maxReplicas where that is less.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// maxReplicas is the largest fleet.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxReplicas int32 `json:"maxReplicas"`

	// targetConnectionsPerPod is how many connections each gateway shall have on average.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	TargetConnectionsPerPod *int32 `json:"targetConnectionsPerPod,omitempty"`

	// targetUtilizationPercent is the part of gateway.maxConnections that each gateway shall have on
	// average; 75 when neither target is set.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	TargetUtilizationPercent *int32 `json:"targetUtilizationPercent,omitempty"`

	// cpuUtilizationPercent of the requested CPU that each gateway shall use on average; left out,
	// CPU does not matter. It needs resources.requests.cpu and a metrics server.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	CPUUtilizationPercent *int32 `json:"cpuUtilizationPercent,omitempty"`

	// behavior of the HorizontalPodAutoscaler; by default it shrinks slowly: the smaller of one pod
	// and 10 % every two minutes, after ten minutes of less need.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.scaleUp) || !has(self.scaleUp.tolerance) || type(self.scaleUp.tolerance) == int || isQuantity(self.scaleUp.tolerance)",message="must be a quantity, such as 0.1",fieldPath=".scaleUp.tolerance"
	// +kubebuilder:validation:XValidation:rule="!has(self.scaleDown) || !has(self.scaleDown.tolerance) || type(self.scaleDown.tolerance) == int || isQuantity(self.scaleDown.tolerance)",message="must be a quantity, such as 0.1",fieldPath=".scaleDown.tolerance"
	Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior,omitempty"`
}
