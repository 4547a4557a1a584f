package v1alpha1

import corev1 "k8s.io/api/core/v1"

// ServiceSpec is the Service in front of the gateways. It always has ClientIP affinity.
//
// +kubebuilder:validation:XValidation:rule="!has(self.externalTrafficPolicy) || self.type != 'ClusterIP'",message="is only for NodePort and LoadBalancer: remove spec.service.externalTrafficPolicy or change spec.service.type",fieldPath=".externalTrafficPolicy"
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerClass) || self.type == 'LoadBalancer'",message="is only for LoadBalancer: remove spec.service.loadBalancerClass or set spec.service.type to LoadBalancer",fieldPath=".loadBalancerClass"
// +kubebuilder:validation:XValidation:rule="self.type != 'LoadBalancer' || oldSelf.type != 'LoadBalancer' || (has(self.loadBalancerClass) == has(oldSelf.loadBalancerClass) && (!has(self.loadBalancerClass) || self.loadBalancerClass == oldSelf.loadBalancerClass))",message="Kubernetes does not change it on a load balancer that exists: set spec.service.type to ClusterIP first, then to LoadBalancer with the new class",fieldPath=".loadBalancerClass"
type ServiceSpec struct {
	// type of the Service.
	// +optional
	// +kubebuilder:default=ClusterIP
	// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
	Type corev1.ServiceType `json:"type,omitempty"`

	// clientIPTimeoutSeconds for which a client address keeps its gateway between two connections.
	// +optional
	// +kubebuilder:default=3600
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	ClientIPTimeoutSeconds *int32 `json:"clientIPTimeoutSeconds,omitempty"`

	// externalTrafficPolicy of a NodePort or LoadBalancer Service. Local keeps the clients' addresses,
	// on which affinity rests.
	// +optional
	// +kubebuilder:validation:Enum=Cluster;Local
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`

	// annotations added to the Service.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('wsfleet.dev/'))",message="the prefix wsfleet.dev/ is the operator's own: use other annotation names"
	Annotations map[string]string `json:"annotations,omitempty"`

	// loadBalancerClass of a LoadBalancer Service.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	LoadBalancerClass *string `json:"loadBalancerClass,omitempty"`
}
