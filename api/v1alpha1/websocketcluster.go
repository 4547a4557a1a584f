package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WebSocketCluster is a fleet of WebSocket gateways. The operator creates a Deployment, a Service with client
// affinity, and what else the spec asks for (Redis, Ingress, HorizontalPodAutoscaler), and hands over long-lived
// connections while the fleet changes.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=websocketclusters,singular=websocketcluster,shortName=wsc,categories=all
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.ready`,description="Number of serving and of desired gateways"
// +kubebuilder:printcolumn:name="Connections",type=integer,JSONPath=`.status.connections`,description="Number of open client connections"
// +kubebuilder:printcolumn:name="Capacity",type=integer,JSONPath=`.status.capacity`,description="Number of connections that the serving gateways can hold"
// +kubebuilder:printcolumn:name="Draining",type=integer,JSONPath=`.status.drainingReplicas`,description="Number of gateways that drain"
// +kubebuilder:printcolumn:name="Available",type=string,JSONPath=`.status.conditions[?(@.type=="Available")].status`,description="Whether enough gateways serve clients"
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.urls[0]`,description="URL at which clients connect"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Image",type=string,JSONPath=`.status.effective.image`,description="Image of the gateways",priority=1
// +kubebuilder:printcolumn:name="Redis",type=string,JSONPath=`.status.effective.redis`,description="Redis that carries messages between gateways",priority=1
// +kubebuilder:printcolumn:name="Metrics",type=string,JSONPath=`.status.conditions[?(@.type=="MetricsAvailable")].reason`,description="Whether the autoscaler can read connections",priority=1
// +kubebuilder:printcolumn:name="Profile",type=string,JSONPath=`.status.effective.ingressProfile`,description="Ingress profile in use",priority=1
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 50 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must be at most 50 characters, begin with a letter, and contain only lower-case letters, digits and '-', because the names of Services begin with it: choose another name"
type WebSocketCluster struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the desired state of the fleet. An empty spec is a working fleet of two gateways and one Redis.
	// +optional
	// +kubebuilder:default={}
	Spec WebSocketClusterSpec `json:"spec,omitzero"`

	// status is the observed state of the fleet. Until the operator writes it, it has only an observedGeneration of -1, so
	// that tools that wait do not take a fleet without a status for one that is up to date.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
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

// WebSocketClusterSpec is the desired state of the fleet.
//
// +kubebuilder:validation:XValidation:rule="!has(self.redis) || has(self.redis.managed) || has(self.redis.external) || !has(self.replicas) || self.replicas <= 1",message="more than 1 replica requires Redis, which carries messages between gateways: set spec.redis.managed or spec.redis.external, or set spec.replicas to 1",fieldPath=".replicas"
// +kubebuilder:validation:XValidation:rule="!has(self.redis) || has(self.redis.managed) || has(self.redis.external) || !has(self.autoscaling) || self.autoscaling.maxReplicas <= 1",message="more than 1 replica requires Redis, which carries messages between gateways: set spec.redis.managed or spec.redis.external, or set spec.autoscaling.maxReplicas to 1",fieldPath=".autoscaling.maxReplicas"
// +kubebuilder:validation:XValidation:rule="!has(self.autoscaling) || !has(self.autoscaling.targetConnectionsPerPod) || self.autoscaling.targetConnectionsPerPod <= self.gateway.maxConnections",message="must not be greater than spec.gateway.maxConnections, or the fleet would never grow: lower the target or raise spec.gateway.maxConnections",fieldPath=".autoscaling.targetConnectionsPerPod"
// +kubebuilder:validation:XValidation:rule="!has(self.ingress) || !has(self.ingress.idleTimeout) || !has(self.gateway.pingInterval) || !self.ingress.idleTimeout.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || !self.gateway.pingInterval.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || duration(self.ingress.idleTimeout) > duration(self.gateway.pingInterval)",message="must be longer than spec.gateway.pingInterval, or the proxy closes idle connections between two pings: raise spec.ingress.idleTimeout or lower spec.gateway.pingInterval",fieldPath=".ingress.idleTimeout"
// +kubebuilder:validation:XValidation:rule="!(has(self.redis) && has(self.redis.external) && has(oldSelf.redis) && has(oldSelf.redis.external)) || self.redis.external.mode == oldSelf.redis.external.mode || (has(self.replicas) && self.replicas == 0 && has(oldSelf.replicas) && oldSelf.replicas == 0)",message="can be changed only while spec.replicas is 0, because gateways in different modes do not receive each other's messages: set spec.replicas to 0 first and raise it afterwards, or create a second WebSocketCluster",fieldPath=".redis.external.mode"
// +kubebuilder:validation:XValidation:rule="!((has(self.redis) && has(self.redis.external)) && (!has(oldSelf.redis) || has(oldSelf.redis.managed)) || (!has(self.redis) || has(self.redis.managed)) && (has(oldSelf.redis) && has(oldSelf.redis.external))) || (has(self.replicas) && self.replicas == 0 && has(oldSelf.replicas) && oldSelf.replicas == 0)",message="can be changed between managed and external only while spec.replicas is 0, because gateways of the two do not receive each other's messages: set spec.replicas to 0 first and raise it afterwards, or create a second WebSocketCluster",fieldPath=".redis"
// +kubebuilder:validation:XValidation:rule="!(has(self.redis) && !has(self.redis.managed) && !has(self.redis.external)) || (has(oldSelf.redis) && !has(oldSelf.redis.managed) && !has(oldSelf.redis.external)) || (has(oldSelf.replicas) && oldSelf.replicas <= 1)",message="can be emptied only while spec.replicas is 0 or 1, because gateways without Redis do not receive each other's messages: set spec.replicas to 1 first",fieldPath=".redis"
// +kubebuilder:validation:XValidation:rule="!has(self.gatewayAPI) || !has(self.ingress) || (has(self.gatewayAPI.path) ? self.gatewayAPI.path : '/') == (has(self.ingress.path) ? self.ingress.path : '/')",message="must be the same as spec.ingress.path, because a draining gateway expires one cookie: change one of them, or remove spec.ingress",fieldPath=".gatewayAPI.path"
// +kubebuilder:validation:XValidation:rule="!has(self.gatewayAPI) || !has(self.ingress) || (has(self.gatewayAPI.cookie) && has(self.gatewayAPI.cookie.name) ? self.gatewayAPI.cookie.name : 'default') == (has(self.ingress.cookie) && has(self.ingress.cookie.name) ? self.ingress.cookie.name : 'default')",message="must be the same as spec.ingress.cookie.name, because a draining gateway expires one cookie: change one of them, or remove spec.ingress",fieldPath=".gatewayAPI.cookie.name"
// +kubebuilder:validation:XValidation:rule="(has(oldSelf.replicas) && oldSelf.replicas == 0) || (has(self.redis) && !has(self.redis.managed)) || (has(oldSelf.redis) && !has(oldSelf.redis.managed)) || (has(self.redis) && has(self.redis.managed.storage)) == (has(oldSelf.redis) && has(oldSelf.redis.managed.storage))",message="cannot be added or removed while the fleet serves, because Redis would lose its data: set spec.replicas to 0 first, or create a second WebSocketCluster",fieldPath=".redis.managed.storage"
// +kubebuilder:validation:XValidation:rule="!has(self.gateway.affinityCookie) || (!has(self.ingress) || (has(self.ingress.profile) && self.ingress.profile == 'none')) && (!has(self.gatewayAPI) || (has(self.gatewayAPI.sessionPersistence) && self.gatewayAPI.sessionPersistence == 'Off'))",message="must not be set together with spec.ingress or spec.gatewayAPI, because a gateway expires one cookie: remove it, or set spec.ingress.profile to none or spec.gatewayAPI.sessionPersistence to Off",fieldPath=".gateway.affinityCookie"
type WebSocketClusterSpec struct {
	// replicas is the desired number of gateways, 0 to 10000. Omit it from manifests that set autoscaling: the
	// HorizontalPodAutoscaler writes it through the scale subresource. More than 1 requires Redis. If it is not set, the
	// operator sets it to the number of gateways that the fleet already has, or to 2 for a new fleet (1 without Redis),
	// within autoscaling.minReplicas and autoscaling.maxReplicas.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	Replicas *int32 `json:"replicas,omitempty"`

	// image is the image of the gateways, 1 to 512 characters. Defaults to the image of the operator's release.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`

	// imagePullPolicy is the pull policy of the gateways' image: Always, IfNotPresent or Never. Defaults to Kubernetes'
	// own rule: Always for the tag latest, else IfNotPresent.
	// +optional
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`

	// imagePullSecrets are the Secrets with which the images of the gateways and of the managed Redis are pulled, at most
	// 16.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	ImagePullSecrets []LocalReference `json:"imagePullSecrets,omitempty"`

	// metadata has labels and annotations for all objects of the fleet.
	// +optional
	Metadata MetadataSpec `json:"metadata,omitzero"`

	// resources are the resource requests and limits of a gateway container.
	// +optional
	Resources ResourceRequirements `json:"resources,omitzero"`

	// pod configures gateway pods beyond what the operator sets.
	// +optional
	Pod PodSpec `json:"pod,omitzero"`

	// gateway configures the gateways: their limits, channels, authentication and hooks.
	// +optional
	// +kubebuilder:default={}
	Gateway GatewaySpec `json:"gateway,omitzero"`

	// redis configures the Redis that carries messages between gateways. If it is not set, the operator runs one small
	// Redis, which is not highly available. An empty object means no Redis: messages stay on the gateway that received
	// them, and only one replica is allowed. A change from managed to external or back, or of the mode of an external
	// one, is allowed only while replicas is 0.
	// +optional
	Redis *RedisSpec `json:"redis,omitempty"`

	// drain configures how a gateway that goes away closes its connections.
	// +optional
	// +kubebuilder:default={}
	Drain DrainSpec `json:"drain,omitzero"`

	// rollout configures how a new version of the gateways replaces the old one.
	// +optional
	// +kubebuilder:default={}
	Rollout RolloutSpec `json:"rollout,omitzero"`

	// rebalance configures how clients move from gateways that have many more than the others.
	// +optional
	// +kubebuilder:default={}
	Rebalance RebalanceSpec `json:"rebalance,omitzero"`

	// autoscaling configures a HorizontalPodAutoscaler that scales the fleet on its connections. If it is not set, the
	// fleet has spec.replicas gateways.
	// +optional
	Autoscaling *AutoscalingSpec `json:"autoscaling,omitempty"`

	// service configures the Service in front of the gateways. Clients in the cluster, load balancers and the Ingress use
	// it.
	// +optional
	// +kubebuilder:default={}
	Service ServiceSpec `json:"service,omitzero"`

	// ingress configures the Ingress that routes clients outside the cluster to the gateways. If it is not set, there is
	// no Ingress.
	// +optional
	Ingress *IngressSpec `json:"ingress,omitempty"`

	// gatewayAPI configures the HTTPRoute that routes clients outside the cluster to the gateways. If it is not set, there
	// is no HTTPRoute. It may be set together with ingress, such as to move clients from one to the other.
	// +optional
	GatewayAPI *GatewayAPISpec `json:"gatewayAPI,omitempty"`

	// disruption configures which gateways the drain of nodes may evict, and how many at once.
	// +optional
	// +kubebuilder:default={}
	Disruption DisruptionSpec `json:"disruption,omitzero"`

	// networkPolicy configures the NetworkPolicies of the fleet's pods.
	// +optional
	// +kubebuilder:default={}
	NetworkPolicy NetworkPolicySpec `json:"networkPolicy,omitzero"`

	// monitoring configures what the operator makes for Prometheus and Grafana.
	// +optional
	// +kubebuilder:default={}
	Monitoring MonitoringSpec `json:"monitoring,omitzero"`

	// patch has a strategic merge patch for each kind of object, for what no other field offers. It is applied last.
	// +optional
	Patch PatchSpec `json:"patch,omitzero"`

	// paused is whether the operator stops changing the objects of this fleet. It still updates the status. Defaults to
	// false.
	// +optional
	Paused bool `json:"paused,omitempty"`
}

// LocalReference names an object in the WebSocketCluster's namespace.
type LocalReference struct {
	// name is the name of the object, 1 to 253 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}
