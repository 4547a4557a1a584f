package v1alpha1

import autoscalingv2 "k8s.io/api/autoscaling/v2"

// AutoscalingSpec configures a HorizontalPodAutoscaler that scales the fleet on its connections.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",message="must not be greater than spec.autoscaling.maxReplicas: lower spec.autoscaling.minReplicas or raise spec.autoscaling.maxReplicas",fieldPath=".minReplicas"
// +kubebuilder:validation:XValidation:rule="!(has(self.targetConnectionsPerPod) && has(self.targetUtilizationPercent))",message="targetConnectionsPerPod and targetUtilizationPercent exclude each other: remove spec.autoscaling.targetConnectionsPerPod or spec.autoscaling.targetUtilizationPercent"
type AutoscalingSpec struct {
	// minReplicas is the minimum number of gateways, 1 to 10000. It must not be greater than maxReplicas. Defaults to 2,
	// or to maxReplicas if that is less.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// maxReplicas is the maximum number of gateways, 1 to 10000.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxReplicas int32 `json:"maxReplicas"`

	// targetConnectionsPerPod is the average number of connections of a gateway that the autoscaler aims at. It must not
	// be greater than spec.gateway.maxConnections, and excludes targetUtilizationPercent.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	TargetConnectionsPerPod *int32 `json:"targetConnectionsPerPod,omitempty"`

	// targetUtilizationPercent is the average number of connections of a gateway that the autoscaler aims at, as a
	// percentage of spec.gateway.maxConnections, 1 to 100. It excludes targetConnectionsPerPod. Defaults to 75 if neither
	// is set.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	TargetUtilizationPercent *int32 `json:"targetUtilizationPercent,omitempty"`

	// cpuUtilizationPercent is the average CPU usage of a gateway that the autoscaler aims at in addition, as a
	// percentage of spec.resources.requests.cpu, 1 to 1000. It requires spec.resources.requests.cpu and a metrics server.
	// If it is not set, the autoscaler does not look at CPU.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	CPUUtilizationPercent *int32 `json:"cpuUtilizationPercent,omitempty"`

	// behavior configures the HorizontalPodAutoscaler's scaling policies. If scaleDown is not set, the fleet shrinks
	// slowly: after ten minutes of less need, by one pod or 10 % every two minutes, whichever is less.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.scaleUp) || !has(self.scaleUp.tolerance) || type(self.scaleUp.tolerance) == int || isQuantity(self.scaleUp.tolerance)",message="must be a quantity, such as 0.1",fieldPath=".scaleUp.tolerance"
	// +kubebuilder:validation:XValidation:rule="!has(self.scaleDown) || !has(self.scaleDown.tolerance) || type(self.scaleDown.tolerance) == int || isQuantity(self.scaleDown.tolerance)",message="must be a quantity, such as 0.1",fieldPath=".scaleDown.tolerance"
	Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior,omitempty"`
}
