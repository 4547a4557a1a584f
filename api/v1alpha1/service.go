package v1alpha1

import corev1 "k8s.io/api/core/v1"

// ServiceSpec configures the Service in front of the gateways. It always has ClientIP affinity.
//
// +kubebuilder:validation:XValidation:rule="!has(self.externalTrafficPolicy) || self.type != 'ClusterIP'",message="is allowed only with type NodePort or LoadBalancer: remove spec.service.externalTrafficPolicy or change spec.service.type",fieldPath=".externalTrafficPolicy"
// +kubebuilder:validation:XValidation:rule="!has(self.nodePort) || self.type != 'ClusterIP'",message="is allowed only with type NodePort or LoadBalancer: remove spec.service.nodePort or change spec.service.type",fieldPath=".nodePort"
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerSourceRanges) || self.type == 'LoadBalancer'",message="is allowed only with type LoadBalancer: remove spec.service.loadBalancerSourceRanges or set spec.service.type to LoadBalancer",fieldPath=".loadBalancerSourceRanges"
// +kubebuilder:validation:XValidation:rule="!has(self.ipFamilies) || self.ipFamilies.size() < 2 || (has(self.ipFamilyPolicy) && self.ipFamilyPolicy != 'SingleStack')",message="two families require dual stack: set spec.service.ipFamilyPolicy to PreferDualStack or RequireDualStack, or keep one family",fieldPath=".ipFamilies"
// +kubebuilder:validation:XValidation:rule="!has(self.ipFamilies) || !has(oldSelf.ipFamilies) || self.ipFamilies[0] == oldSelf.ipFamilies[0]",message="the first family of a Service cannot be changed: keep the first entry of spec.service.ipFamilies, or create a new WebSocketCluster",fieldPath=".ipFamilies"
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerClass) || self.type == 'LoadBalancer'",message="is allowed only with type LoadBalancer: remove spec.service.loadBalancerClass or set spec.service.type to LoadBalancer",fieldPath=".loadBalancerClass"
// +kubebuilder:validation:XValidation:rule="self.type != 'LoadBalancer' || oldSelf.type != 'LoadBalancer' || (has(self.loadBalancerClass) == has(oldSelf.loadBalancerClass) && (!has(self.loadBalancerClass) || self.loadBalancerClass == oldSelf.loadBalancerClass))",message="cannot be changed on an existing load balancer: set spec.service.type to ClusterIP first, then to LoadBalancer with the new class",fieldPath=".loadBalancerClass"
type ServiceSpec struct {
	// type is the type of the Service: ClusterIP, NodePort or LoadBalancer. Defaults to ClusterIP.
	// +optional
	// +kubebuilder:default=ClusterIP
	// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
	Type corev1.ServiceType `json:"type,omitempty"`

	// clientIPTimeoutSeconds is how many seconds after it last opened a connection a client address is still routed to
	// the same gateway, 1 to 86400. Traffic on an open connection does not count, so it should be longer than clients
	// usually stay connected. Defaults to 10800.
	// +optional
	// +kubebuilder:default=10800
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	ClientIPTimeoutSeconds *int32 `json:"clientIPTimeoutSeconds,omitempty"`

	// externalTrafficPolicy is the traffic policy of a NodePort or LoadBalancer Service: Cluster or Local. Local keeps
	// the clients' addresses, which affinity depends on. It is not allowed with type ClusterIP.
	// +optional
	// +kubebuilder:validation:Enum=Cluster;Local
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`

	// trafficDistribution is which gateways the cluster's proxies prefer for a client in the cluster: PreferSameZone or
	// PreferSameNode. Gateways of a zone or node with more clients then have more connections. If it is not set, all
	// gateways are equal.
	// +optional
	// +kubebuilder:validation:Enum=PreferSameZone;PreferSameNode
	TrafficDistribution string `json:"trafficDistribution,omitempty"`

	// ipFamilyPolicy is how many IP families the Service has: SingleStack, PreferDualStack or RequireDualStack. Defaults
	// to Kubernetes' own rule: SingleStack.
	// +optional
	// +kubebuilder:validation:Enum=SingleStack;PreferDualStack;RequireDualStack
	IPFamilyPolicy corev1.IPFamilyPolicy `json:"ipFamilyPolicy,omitempty"`

	// ipFamilies are the IP families of the Service, IPv4 and IPv6, in the order of preference. Two require an
	// ipFamilyPolicy of dual stack, and the first cannot be changed. If there are none, the cluster chooses.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:Enum=IPv4;IPv6
	// +kubebuilder:validation:XValidation:rule="self.size() < 2 || self[0] != self[1]",message="the same family twice: remove one of them"
	IPFamilies []corev1.IPFamily `json:"ipFamilies,omitempty"`

	// nodePort is the port of every node on which a NodePort or LoadBalancer Service is reached, 1 to 65535. The
	// cluster's range is 30000 to 32767 unless it is configured otherwise. It is not allowed with type ClusterIP. If it is
	// not set, the cluster chooses.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	NodePort *int32 `json:"nodePort,omitempty"`

	// loadBalancerSourceRanges are the networks, in CIDR form, from which the load balancer accepts connections, at most
	// 64. It is allowed only with type LoadBalancer. If there are none, every network is accepted.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(n, isCIDR(n))",message="each must be a network in CIDR form, such as 10.0.0.0/8 or fd00::/8 (one address: 10.1.2.3/32)"
	LoadBalancerSourceRanges []string `json:"loadBalancerSourceRanges,omitempty"`

	// annotations are added to the Service, at most 64. They override those of the ingress profile. The prefix
	// wsfleet.dev/ is reserved.
	// +optional
	// +kubebuilder:validation:XValidation:rule="['traefik.ingress.kubernetes.io/service.sticky.cookie.name', 'haproxy.org/cookie-persistence'].all(k, !(k in self) || self[k].matches('^[!#$%&*+.^_|~0-9A-Za-z-]+$'))",message="traefik.ingress.kubernetes.io/service.sticky.cookie.name and haproxy.org/cookie-persistence must be names of cookies: letters, digits, '-' and '_', or set spec.ingress.cookie.name instead"
	// +kubebuilder:validation:XValidation:rule="!('traefik.ingress.kubernetes.io/service.sticky.cookie.path' in self) || self['traefik.ingress.kubernetes.io/service.sticky.cookie.path'].matches('^/[!-:<-~]*$')",message="traefik.ingress.kubernetes.io/service.sticky.cookie.path must begin with / and have no space and no ';'"
	Annotations Annotations `json:"annotations,omitempty"`

	// loadBalancerClass is the class of the load balancer. It is allowed only with type LoadBalancer, and cannot be
	// changed while the load balancer exists.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	LoadBalancerClass *string `json:"loadBalancerClass,omitempty"`
}
