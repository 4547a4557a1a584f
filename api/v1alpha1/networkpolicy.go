package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NetworkPolicySpec configures the NetworkPolicies of the fleet's pods. They limit which connections the pods accept,
// and no connections that the pods open. A network plugin that implements NetworkPolicy enforces them.
type NetworkPolicySpec struct {
	// enabled is whether the operator makes NetworkPolicies. With them, only the operator, the metrics API and metricsFrom
	// reach the private port of gateways, and only the fleet's gateways reach the managed Redis. Defaults to true.
	// +optional
	// +kubebuilder:default=true
	Enabled *bool `json:"enabled,omitempty"`

	// from are the peers that may connect to the public port of gateways, at most 32. An ingress controller or a load
	// balancer that hides the addresses of clients is a peer itself. If there are none, every peer may connect.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	From []NetworkPeer `json:"from,omitempty"`

	// metricsFrom are the peers that may connect to the private port of gateways, besides the operator and the metrics
	// API, at most 32. Prometheus reads the metrics there; the other paths of that port need a token. An empty list means
	// no other peers. Defaults to pods with the label app.kubernetes.io/name=prometheus in any namespace.
	// +optional
	// +listType=atomic
	// +kubebuilder:default={{namespaceSelector: {}, podSelector: {matchLabels: {"app.kubernetes.io/name": "prometheus"}}}}
	// +kubebuilder:validation:MaxItems=32
	MetricsFrom []NetworkPeer `json:"metricsFrom,omitempty"`
}

// NetworkPeer is a set of pods or of addresses that may connect.
//
// +kubebuilder:validation:XValidation:rule="has(self.ipBlock) != (has(self.podSelector) || has(self.namespaceSelector))",message="must have either ipBlock, or podSelector, namespaceSelector or both: add or remove one"
type NetworkPeer struct {
	// ipBlock is a set of addresses. It excludes podSelector and namespaceSelector.
	// +optional
	IPBlock *IPBlock `json:"ipBlock,omitempty"`

	// podSelector selects pods by their labels, in the WebSocketCluster's namespace or in those of namespaceSelector. An
	// empty selector selects all.
	// +optional
	PodSelector *metav1.LabelSelector `json:"podSelector,omitempty"`

	// namespaceSelector selects namespaces by their labels. An empty selector selects all. Without podSelector, all pods
	// of these namespaces may connect.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
}

// IPBlock is a network without parts of it.
type IPBlock struct {
	// cidr is the network in CIDR form, such as 10.0.0.0/8.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="must be a network in CIDR form, such as 10.0.0.0/8 or fd00::/8 (one address: 10.1.2.3/32)"
	CIDR string `json:"cidr"`

	// except are networks within cidr that may not connect, at most 32.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(c, isCIDR(c))",message="each must be a network in CIDR form, such as 10.0.0.0/8 or fd00::/8 (one address: 10.1.2.3/32)"
	Except []string `json:"except,omitempty"`
}
