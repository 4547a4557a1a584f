package v1alpha1

import autoscalingv2 "k8s.io/api/autoscaling/v2"

// AutoscalingMetrics is where the autoscaler reads the fleet's connections.
//
// +kubebuilder:validation:Enum=Auto;BuiltIn;Existing
type AutoscalingMetrics string

// The values of AutoscalingMetrics.
const (
	// AutoscalingMetricsAuto is Existing where another server has the custom metrics API, else BuiltIn.
	AutoscalingMetricsAuto AutoscalingMetrics = "Auto"
	// AutoscalingMetricsBuiltIn is wsfleet's own server of the custom metrics API.
	AutoscalingMetricsBuiltIn AutoscalingMetrics = "BuiltIn"
	// AutoscalingMetricsExisting is another server of the custom metrics API, such as prometheus-adapter.
	AutoscalingMetricsExisting AutoscalingMetrics = "Existing"
)

// ExistingMetricType is what a metric of another server describes.
//
// +kubebuilder:validation:Enum=Pods;Object
type ExistingMetricType string

// The values of ExistingMetricType.
const (
	// ExistingMetricPods is a number of each gateway's pod.
	ExistingMetricPods ExistingMetricType = "Pods"
	// ExistingMetricObject is one number of the WebSocketCluster.
	ExistingMetricObject ExistingMetricType = "Object"
)

// AutoscalingSpec configures a HorizontalPodAutoscaler that scales the fleet on its connections.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",message="must not be greater than spec.autoscaling.maxReplicas: lower spec.autoscaling.minReplicas or raise spec.autoscaling.maxReplicas",fieldPath=".minReplicas"
// +kubebuilder:validation:XValidation:rule="!(has(self.targetConnectionsPerPod) && has(self.targetUtilizationPercent))",message="targetConnectionsPerPod and targetUtilizationPercent exclude each other: remove spec.autoscaling.targetConnectionsPerPod or spec.autoscaling.targetUtilizationPercent"
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || self.minReplicas > 0 || !has(self.metrics) || self.metrics != 'Existing' || (has(self.existingMetric) && has(self.existingMetric.type) && self.existingMetric.type == 'Object')",message="0 requires a metric that exists without pods: set spec.autoscaling.existingMetric.type to Object, or spec.autoscaling.minReplicas to 1",fieldPath=".minReplicas"
// +kubebuilder:validation:XValidation:rule="!has(self.maxUtilizationPercent) || !has(self.metrics) || self.metrics != 'Existing'",message="requires the built-in metrics: set spec.autoscaling.metrics to Auto or BuiltIn, or remove spec.autoscaling.maxUtilizationPercent",fieldPath=".maxUtilizationPercent"
type AutoscalingSpec struct {
	// minReplicas is the minimum number of gateways, 0 to 10000. It must not be greater than maxReplicas. A fleet of 0
	// refuses all clients and so has no connections by which it could grow: something else must raise spec.replicas. 0
	// requires Kubernetes 1.37, or the feature gate HPAScaleToZero before it. Defaults to 2, or to maxReplicas if that is
	// less.
	// +optional
	// +kubebuilder:validation:Minimum=0
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

	// maxUtilizationPercent is the number of connections of the fullest gateway that the autoscaler aims at in addition,
	// as a percentage of spec.gateway.maxConnections, 1 to 100. Long connections stay where they are, so that a fleet with
	// one full gateway grows until that gateway has fewer, up to maxReplicas. It requires the built-in metrics. If it is
	// not set, the autoscaler looks at the average only.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	MaxUtilizationPercent *int32 `json:"maxUtilizationPercent,omitempty"`

	// cpuUtilizationPercent is the average CPU usage of a gateway that the autoscaler aims at in addition, as a
	// percentage of spec.resources.requests.cpu, 1 to 1000. It requires spec.resources.requests.cpu and a metrics server.
	// If it is not set, the autoscaler does not look at CPU.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	CPUUtilizationPercent *int32 `json:"cpuUtilizationPercent,omitempty"`

	// metrics is where the autoscaler reads connections: BuiltIn for wsfleet's own server of custom.metrics.k8s.io,
	// Existing for another server, such as prometheus-adapter, or Auto for Existing where another server has that API and
	// else BuiltIn. A cluster has one such server. status.effective.metrics shows the one in use. Defaults to Auto.
	// +optional
	// +kubebuilder:default=Auto
	Metrics AutoscalingMetrics `json:"metrics,omitempty"`

	// existingMetric is the metric that another server of custom.metrics.k8s.io has. It has no effect with the built-in
	// metrics.
	// +optional
	ExistingMetric ExistingMetric `json:"existingMetric,omitzero"`

	// behavior configures the HorizontalPodAutoscaler's scaling policies. Each field of scaleUp and scaleDown that is not
	// set has a default of wsfleet's own: the fleet grows at once, at most to twice its size in 15 seconds. It shrinks
	// after ten minutes of less need, by one gateway or 10 %, whichever is more, every two minutes, and by no more than
	// the others can take over at spec.gateway.connectRate within spec.drain.timeout. Needs that differ by 5 % upwards or
	// 15 % downwards change nothing; Kubernetes before 1.35 has 10 % for both.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.scaleUp) || !has(self.scaleUp.tolerance) || type(self.scaleUp.tolerance) == int || isQuantity(self.scaleUp.tolerance)",message="must be a quantity, such as 0.1",fieldPath=".scaleUp.tolerance"
	// +kubebuilder:validation:XValidation:rule="!has(self.scaleDown) || !has(self.scaleDown.tolerance) || type(self.scaleDown.tolerance) == int || isQuantity(self.scaleDown.tolerance)",message="must be a quantity, such as 0.1",fieldPath=".scaleDown.tolerance"
	Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior,omitempty"`
}

// ExistingMetric is a metric of another server of the custom metrics API.
type ExistingMetric struct {
	// type is what the metric describes: Pods for a number of each gateway's pod, of which the autoscaler takes the
	// average, or Object for one number of the WebSocketCluster, the sum over its gateways. With Pods a gateway that has
	// just started counts in full, so that the fleet grows late during a rollout. Defaults to Pods.
	// +optional
	// +kubebuilder:default=Pods
	Type ExistingMetricType `json:"type,omitempty"`

	// name is the name of the metric, 1 to 253 characters. Defaults to websocket_connections.
	// +optional
	// +kubebuilder:default=websocket_connections
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z_][A-Za-z0-9_:.-]*$')",message="must begin with a letter or '_' and have only letters, digits, '_', ':', '.' and '-', such as websocket_connections"
	Name string `json:"name,omitempty"`
}
