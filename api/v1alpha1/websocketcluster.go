package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WebSocketCluster is a fleet of WebSocket gateways: the operator turns one into a Deployment, a
// Service with client affinity, and whatever the spec asks for besides (Redis, Ingress,
// HorizontalPodAutoscaler), and keeps its long-lived connections whole while the fleet changes.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=websocketclusters,singular=websocketcluster,shortName=wsc,categories=all
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.ready`,description="Serving gateways of those wanted"
// +kubebuilder:printcolumn:name="Connections",type=integer,JSONPath=`.status.connections`,description="Open client connections"
// +kubebuilder:printcolumn:name="Capacity",type=integer,JSONPath=`.status.capacity`,description="Connections the serving gateways can hold"
// +kubebuilder:printcolumn:name="Draining",type=integer,JSONPath=`.status.drainingReplicas`,description="Gateways that are handing their clients over"
// +kubebuilder:printcolumn:name="Available",type=string,JSONPath=`.status.conditions[?(@.type=="Available")].status`,description="Whether enough gateways serve"
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.urls[0]`,description="Where clients connect"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Image",type=string,JSONPath=`.status.effective.image`,description="Gateway image in use",priority=1
// +kubebuilder:printcolumn:name="Redis",type=string,JSONPath=`.status.effective.redis`,description="Which Redis carries messages between gateways",priority=1
// +kubebuilder:printcolumn:name="Metrics",type=string,JSONPath=`.status.conditions[?(@.type=="MetricsAvailable")].reason`,description="Whether the autoscaler can read connections",priority=1
// +kubebuilder:printcolumn:name="Profile",type=string,JSONPath=`.status.effective.ingressProfile`,description="Ingress annotations profile in use",priority=1
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 50 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must be at most 50 characters, begin with a letter, and have only lower-case letters, digits and '-', for it is the beginning of Service names: choose another"
type WebSocketCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the fleet shall be. An empty spec is a working fleet of two gateways and one Redis.
	// +optional
	// +kubebuilder:default={}
	Spec WebSocketClusterSpec `json:"spec,omitzero"`

	// status is what the fleet is.
	// +optional
	Status WebSocketClusterStatus `json:"status,omitzero"`
}

// WebSocketClusterList is a list of WebSocketClusters.
//
// +kubebuilder:object:root=true
type WebSocketClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []WebSocketCluster `json:"items"`
}

// WebSocketClusterSpec is what the fleet shall be.
//
// +kubebuilder:validation:XValidation:rule="!has(self.redis) || has(self.redis.managed) || has(self.redis.external) || self.replicas <= 1",message="more than 1 replica needs Redis, or messages stay on the gateway they came to: set spec.redis.managed or spec.redis.external, or set spec.replicas to 1",fieldPath=".replicas"
// +kubebuilder:validation:XValidation:rule="!has(self.redis) || has(self.redis.managed) || has(self.redis.external) || !has(self.autoscaling) || self.autoscaling.maxReplicas <= 1",message="more than 1 replica needs Redis, or messages stay on the gateway they came to: set spec.redis.managed or spec.redis.external, or set spec.autoscaling.maxReplicas to 1",fieldPath=".autoscaling.maxReplicas"
// +kubebuilder:validation:XValidation:rule="!has(self.autoscaling) || !has(self.autoscaling.targetConnectionsPerPod) || self.autoscaling.targetConnectionsPerPod <= self.gateway.maxConnections",message="must not be greater than spec.gateway.maxConnections, or the fleet would never grow: lower the target or raise spec.gateway.maxConnections",fieldPath=".autoscaling.targetConnectionsPerPod"
// +kubebuilder:validation:XValidation:rule="!has(self.ingress) || !has(self.ingress.idleTimeout) || !has(self.gateway.pingInterval) || !self.ingress.idleTimeout.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || !self.gateway.pingInterval.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || duration(self.ingress.idleTimeout) > duration(self.gateway.pingInterval)",message="must be longer than spec.gateway.pingInterval, or the proxy cuts idle clients between two pings: raise spec.ingress.idleTimeout or lower spec.gateway.pingInterval",fieldPath=".ingress.idleTimeout"
type WebSocketClusterSpec struct {
	// replicas is how many gateways serve. Leave it out of the manifest when autoscaling is set: the
	// HorizontalPodAutoscaler writes it through the scale subresource.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	Replicas *int32 `json:"replicas,omitempty"`

	// image of the gateway; by default the one of the operator's own release.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`

	// imagePullPolicy of the gateway; by default Kubernetes' own rule (Always for :latest).
	// +optional
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`

	// imagePullSecrets for the gateway's and the managed Redis' images.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	ImagePullSecrets []LocalReference `json:"imagePullSecrets,omitempty"`

	// resources of a gateway container.
	// +optional
	Resources ResourceRequirements `json:"resources,omitzero"`

	// pod is what gateway pods get besides what the operator sets.
	// +optional
	Pod PodSpec `json:"pod,omitzero"`

	// gateway is how each gateway treats its clients.
	// +optional
	// +kubebuilder:default={}
	Gateway GatewaySpec `json:"gateway,omitzero"`

	// redis carries messages between gateways. Left out, it means managed: one small Redis, which is
	// not highly available. An empty object means none: messages stay on the gateway they came to,
	// so that only one replica is allowed.
	// +optional
	Redis *RedisSpec `json:"redis,omitempty"`

	// drain is how a gateway that goes away hands its clients over.
	// +optional
	// +kubebuilder:default={}
	Drain DrainSpec `json:"drain,omitzero"`

	// rollout is how a new version replaces the old one.
	// +optional
	// +kubebuilder:default={}
	Rollout RolloutSpec `json:"rollout,omitzero"`

	// autoscaling on connections; left out, the fleet keeps spec.replicas.
	// +optional
	Autoscaling *AutoscalingSpec `json:"autoscaling,omitempty"`

	// service that clients inside the cluster and load balancers use.
	// +optional
	// +kubebuilder:default={}
	Service ServiceSpec `json:"service,omitzero"`

	// ingress that leads clients from outside to the gateways; left out, there is none.
	// +optional
	Ingress *IngressSpec `json:"ingress,omitempty"`

	// disruption is how many gateways a node drain may take at once.
	// +optional
	// +kubebuilder:default={}
	Disruption DisruptionSpec `json:"disruption,omitzero"`

	// paused stops the operator's writes for this fleet; its status goes on.
	// +optional
	Paused bool `json:"paused,omitempty"`
}

// LocalReference names an object in the WebSocketCluster's namespace.
type LocalReference struct {
	// name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}
