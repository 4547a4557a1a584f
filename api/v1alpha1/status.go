package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// MaxDrainEntries is how many draining gateways a status lists at most.
const MaxDrainEntries = 16

// WebSocketClusterStatus is what the fleet is.
type WebSocketClusterStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// ready is serving gateways of those wanted, such as 2/3.
	// +optional
	Ready string `json:"ready,omitempty"`

	// replicas that serve clients: surge and draining gateways are left out.
	// +optional
	Replicas int32 `json:"replicas"`

	// readyReplicas are the gateway pods that are ready, surge included.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas"`

	// updatedReplicas are the gateway pods that run the newest version.
	// +optional
	UpdatedReplicas int32 `json:"updatedReplicas"`

	// drainingReplicas are the gateway pods that are handing their clients over.
	// +optional
	DrainingReplicas int32 `json:"drainingReplicas"`

	// selector of the gateway pods, for the scale subresource.
	// +optional
	Selector string `json:"selector,omitempty"`

	// connections that clients hold open, on all gateways. Written at most every 15 s, or on a change of 5 %.
	// +optional
	Connections int64 `json:"connections"`

	// capacity is how many connections the serving gateways can hold.
	// +optional
	Capacity int64 `json:"capacity"`

	// drain lists draining gateways, at most 16 of them.
	// +optional
	// +listType=map
	// +listMapKey=pod
	// +kubebuilder:validation:MaxItems=16
	Drain []DrainStatus `json:"drain,omitempty"`

	// effective is what the operator worked out.
	// +optional
	Effective EffectiveStatus `json:"effective,omitzero"`

	// urls where clients connect, the best one first.
	// +optional
	// +listType=atomic
	URLs []string `json:"urls,omitempty"`

	// conditions of the fleet. Every type is always present.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// DrainStatus is one gateway that is handing its clients over.
type DrainStatus struct {
	// pod that drains.
	Pod string `json:"pod"`

	// connections that are left on it.
	// +optional
	Connections int64 `json:"connections"`

	// startedAt is when the drain began.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`

	// deadline at which the last client is closed.
	// +optional
	Deadline *metav1.Time `json:"deadline,omitempty"`

	// reason why it drains.
	// +optional
	Reason string `json:"reason,omitempty"`
}

// EffectiveStatus is what the operator worked out from the spec and the cluster.
type EffectiveStatus struct {
	// image of the gateway.
	// +optional
	Image string `json:"image,omitempty"`

	// redis is Managed, Standalone, Sentinel, Cluster or None.
	// +optional
	Redis string `json:"redis,omitempty"`

	// ingressProfile whose annotations are used; empty without an Ingress.
	// +optional
	IngressProfile string `json:"ingressProfile,omitempty"`

	// terminationGracePeriodSeconds of gateway pods: drain.propagationDelay + drain.timeout + 15.
	// +optional
	TerminationGracePeriodSeconds int64 `json:"terminationGracePeriodSeconds,omitempty"`
}
