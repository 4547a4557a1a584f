package v1alpha1

import corev1 "k8s.io/api/core/v1"

// ServiceSpec configures the Service in front of the gateways. It always has ClientIP affinity.
//
// +kubebuilder:validation:XValidation:rule="!has(self.externalTrafficPolicy) || self.type != 'ClusterIP'",message="is allowed only with type NodePort or LoadBalancer: remove spec.service.externalTrafficPolicy or change spec.service.type",fieldPath=".externalTrafficPolicy"
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerClass) || self.type == 'LoadBalancer'",message="is allowed only with type LoadBalancer: remove spec.service.loadBalancerClass or set spec.service.type to LoadBalancer",fieldPath=".loadBalancerClass"
// +kubebuilder:validation:XValidation:rule="self.type != 'LoadBalancer' || oldSelf.type != 'LoadBalancer' || (has(self.loadBalancerClass) == has(oldSelf.loadBalancerClass) && (!has(self.loadBalancerClass) || self.loadBalancerClass == oldSelf.loadBalancerClass))",message="cannot be changed on an existing load balancer: set spec.service.type to ClusterIP first, then to LoadBalancer with the new class",fieldPath=".loadBalancerClass"
type ServiceSpec struct {
	// type is the type of the Service: ClusterIP, NodePort or LoadBalancer. Defaults to ClusterIP.
	// +optional
	// +kubebuilder:default=ClusterIP
	// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
	Type corev1.ServiceType `json:"type,omitempty"`

	// clientIPTimeoutSeconds is how many seconds after its last connection a client address is still routed to the same
	// gateway, 1 to 86400. Defaults to 3600.
	// +optional
	// +kubebuilder:default=3600
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	ClientIPTimeoutSeconds *int32 `json:"clientIPTimeoutSeconds,omitempty"`

	// externalTrafficPolicy is the traffic policy of a NodePort or LoadBalancer Service: Cluster or Local. Local keeps
	// the clients' addresses, which affinity depends on. It is not allowed with type ClusterIP.
	// +optional
	// +kubebuilder:validation:Enum=Cluster;Local
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`

	// annotations are added to the Service, at most 64. The prefix wsfleet.dev/ is reserved.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('wsfleet.dev/'))",message="the prefix wsfleet.dev/ is reserved for the operator: use other annotation names"
	Annotations map[string]string `json:"annotations,omitempty"`

	// loadBalancerClass is the class of the load balancer. It is allowed only with type LoadBalancer, and cannot be
	// changed while the load balancer exists.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	LoadBalancerClass *string `json:"loadBalancerClass,omitempty"`
}
