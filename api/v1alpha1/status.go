package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// MaxDrainEntries is the maximum number of draining gateways that a status lists.
const MaxDrainEntries = 16

// WebSocketClusterStatus is the observed state of the fleet.
type WebSocketClusterStatus struct {
	// conditions are the conditions of the fleet: Available, Progressing, Draining, BackplaneReady, MetricsAvailable,
	// Exposed and SpecAccepted, and Ready, Reconciling and Stalled, which sum them up for tools that wait. All are always
	// present.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status describes, or -1 before the first status.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// ready is the number of serving gateways and the number of desired ones, such as 2/3.
	// +optional
	Ready string `json:"ready,omitempty"`

	// replicas is the number of serving gateways, at most spec.replicas: surge and draining gateways do not count. While
	// none serves and spec.replicas is not 0, it is the number of gateways that are to serve, so that an autoscaler does
	// not take a fleet that starts for one that was scaled to 0.
	// +optional
	Replicas int32 `json:"replicas"`

	// readyReplicas is the number of gateway pods that are ready, surge included.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas"`

	// updatedReplicas is the number of gateway pods that run the newest version.
	// +optional
	UpdatedReplicas int32 `json:"updatedReplicas"`

	// drainingReplicas is the number of gateway pods that drain.
	// +optional
	DrainingReplicas int32 `json:"drainingReplicas"`

	// selector is the label selector of the gateway pods that do not drain, for the scale subresource.
	// +optional
	Selector string `json:"selector,omitempty"`

	// connections is the number of open client connections on all gateways. It is written when it has changed by 5 % or
	// more, or after 15 seconds.
	// +optional
	Connections int64 `json:"connections"`

	// capacity is the number of connections that the serving gateways can hold together.
	// +optional
	Capacity int64 `json:"capacity"`

	// drain lists draining gateways, at most 16: those with the most connections.
	// +optional
	// +listType=map
	// +listMapKey=pod
	// +kubebuilder:validation:MaxItems=16
	Drain []DrainStatus `json:"drain,omitempty"`

	// redisStartedAt is when the managed Redis that serves now was started. Without spec.redis.managed.storage, its data
	// is no older. It is empty without a managed Redis.
	// +optional
	RedisStartedAt *metav1.Time `json:"redisStartedAt,omitempty"`

	// effective is what the operator derived from the spec and the cluster.
	// +optional
	Effective EffectiveStatus `json:"effective,omitzero"`

	// urls are the URLs at which clients connect: those for clients outside the cluster come first.
	// +optional
	// +listType=atomic
	URLs []string `json:"urls,omitempty"`
}

// DrainStatus describes the drain of one gateway.
type DrainStatus struct {
	// pod is the name of the gateway pod.
	// +required
	Pod string `json:"pod"`

	// connections is the number of connections that are left on the gateway.
	// +optional
	Connections int64 `json:"connections"`

	// startedAt is when the drain began.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`

	// deadline is when the last connection is closed.
	// +optional
	Deadline *metav1.Time `json:"deadline,omitempty"`

	// closesPerSecond is the number of connections that the gateway closes per second, rounded up.
	// +optional
	ClosesPerSecond int64 `json:"closesPerSecond,omitempty"`

	// expectedEnd is when the gateway will have no connection left at its present pace, about, and at its deadline at the
	// latest.
	// +optional
	ExpectedEnd *metav1.Time `json:"expectedEnd,omitempty"`

	// reason is why the gateway drains.
	// +optional
	Reason string `json:"reason,omitempty"`
}

// EffectiveStatus is what the operator derived from the spec and the cluster.
type EffectiveStatus struct {
	// image is the image of the gateways.
	// +optional
	Image string `json:"image,omitempty"`

	// redis is the Redis that carries messages between gateways: Managed, Standalone, Sentinel, Cluster or None.
	// +optional
	Redis string `json:"redis,omitempty"`

	// ingressProfile is the ingress profile in use. It is empty without an Ingress.
	// +optional
	IngressProfile string `json:"ingressProfile,omitempty"`

	// metrics is where the autoscaler reads connections: BuiltIn or Existing. It is empty without spec.autoscaling.
	// +optional
	Metrics string `json:"metrics,omitempty"`

	// terminationGracePeriodSeconds is the termination grace period of gateway pods: spec.drain.propagationDelay +
	// spec.drain.timeout + 15 seconds, or what an admission policy has made of it.
	// +optional
	TerminationGracePeriodSeconds int64 `json:"terminationGracePeriodSeconds,omitempty"`
}
