package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// DrainSpec is how a gateway that goes away hands its clients over. The pods' termination grace
// period follows from it.
//
// +kubebuilder:validation:XValidation:rule="!has(self.timeout) || !has(self.propagationDelay) || !self.timeout.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || !self.propagationDelay.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || duration(self.timeout) == duration('0s') || duration(self.propagationDelay) < duration(self.timeout)",message="must be shorter than spec.drain.timeout: lower spec.drain.propagationDelay or raise spec.drain.timeout",fieldPath=".propagationDelay"
type DrainSpec struct {
	// timeout until the last client is closed; 0s closes all at once.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="must be a duration from 0s to 24h, such as 30s, 5m or 1h30m"
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// propagationDelay in which a draining gateway still accepts clients, until every proxy and load
	// balancer knows that it goes.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="must be a duration from 0s to 24h, such as 10s or 1m"
	PropagationDelay *metav1.Duration `json:"propagationDelay,omitempty"`

	// maxClosesPerSecond of one draining gateway; 0 derives the rate from timeout.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	MaxClosesPerSecond *int32 `json:"maxClosesPerSecond,omitempty"`
}

// RolloutSpec is how a new version replaces the old one.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.maxSurge) && has(self.maxUnavailable) && (type(self.maxSurge) == int ? self.maxSurge == 0 : self.maxSurge.matches('^0+%$')) && (type(self.maxUnavailable) == int ? self.maxUnavailable == 0 : self.maxUnavailable.matches('^0+%$')))",message="maxSurge and maxUnavailable must not both be 0, or no pod could ever be replaced: raise spec.rollout.maxSurge or spec.rollout.maxUnavailable"
type RolloutSpec struct {
	// maxSurge is how many gateways, or what part of them, may run above replicas meanwhile.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 && self <= 2147483647 : self.matches('^(100|[0-9]{1,2})%$')",message="must be a number from 0 or a percentage from 0% to 100%, such as 1 or 25%"
	MaxSurge *intstr.IntOrString `json:"maxSurge,omitempty"`

	// maxUnavailable is how many gateways, or what part of them, may be missing meanwhile.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 && self <= 2147483647 : self.matches('^(100|[0-9]{1,2})%$')",message="must be a number from 0 or a percentage from 0% to 100%, such as 1 or 25%"
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// minReadySeconds that a new gateway must have been ready before the next old one goes.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	MinReadySeconds *int32 `json:"minReadySeconds,omitempty"`
}

// DisruptionSpec is how many gateways a node drain may take at once.
type DisruptionSpec struct {
	// maxUnavailable is how many gateways, or what part of them, evictions may take at once. A fleet
	// of one gateway has no PodDisruptionBudget, or its node could never be drained.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 && self <= 2147483647 : self.matches('^(100|[0-9]{1,2})%$')",message="must be a number from 0 or a percentage from 0% to 100%, such as 1 or 25%"
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
}
