package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// DrainSpec configures how a gateway that goes away closes its connections. The pods' termination grace period is
// derived from it.
//
// +kubebuilder:validation:XValidation:rule="!has(self.timeout) || !has(self.propagationDelay) || !self.timeout.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || !self.propagationDelay.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || duration(self.timeout) == duration('0s') || duration(self.propagationDelay) < duration(self.timeout)",message="must be shorter than spec.drain.timeout: lower spec.drain.propagationDelay or raise spec.drain.timeout",fieldPath=".propagationDelay"
type DrainSpec struct {
	// timeout is how long a drain may take until the last connection is closed, as a duration from 0s to 24h. With 0s all
	// connections are closed at once. Defaults to 5m.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="must be a duration from 0s to 24h, such as 30s, 5m or 1h30m"
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// propagationDelay is how long a draining gateway still accepts handshakes, until every proxy and load balancer has
	// stopped routing clients to it, as a duration from 0s to 24h. It must be shorter than timeout, unless timeout is 0s.
	// It begins once another gateway serves. After it, handshakes are answered 503. Defaults to 10s.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="must be a duration from 0s to 24h, such as 10s or 1m"
	PropagationDelay *metav1.Duration `json:"propagationDelay,omitempty"`

	// maxClosesPerSecond is the maximum number of connections that one draining gateway closes per second, 0 to 1000000.
	// 0 is no maximum: the pace follows from spec.rollout.maxReconnectsPerSecond. Connections that are left at the timeout
	// are closed at once. Defaults to 0.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	MaxClosesPerSecond *int32 `json:"maxClosesPerSecond,omitempty"`

	// closeCode is the close code that a draining gateway sends to plain clients: 1001, 1012, 1013, 3000 to 3499, 4000, or
	// 4100 to 4299. With other codes some clients' libraries stay away. Centrifuge clients always get 3001. Defaults to
	// 1012.
	// +optional
	// +kubebuilder:default=1012
	// +kubebuilder:validation:Minimum=1001
	// +kubebuilder:validation:Maximum=4299
	// +kubebuilder:validation:XValidation:rule="self in [1001, 1012, 1013, 4000] || self >= 3000 && self <= 3499 || self >= 4100 && self <= 4299",message="must be 1001, 1012, 1013, 3000 to 3499, 4000, or 4100 to 4299: other codes make some clients' libraries stay away"
	CloseCode *int32 `json:"closeCode,omitempty"`

	// scaleIn is when the gateways drain that a smaller spec.replicas leaves over: PreDrain, before their pods are
	// deleted, those with the fewest connections first; or OnTermination, when Kubernetes has chosen and deletes them.
	// PreDrain waits while gateways of a new version replace the old ones. Defaults to PreDrain.
	// +optional
	// +kubebuilder:default=PreDrain
	ScaleIn ScaleInPolicy `json:"scaleIn,omitempty"`
}

// ScaleInPolicy is when the gateways of a fleet that shrinks drain.
//
// +kubebuilder:validation:Enum=PreDrain;OnTermination
type ScaleInPolicy string

// The values of ScaleInPolicy.
const (
	// ScaleInPreDrain has the operator choose gateways and drain them before their pods are deleted.
	ScaleInPreDrain ScaleInPolicy = "PreDrain"
	// ScaleInOnTermination leaves the choice to Kubernetes. A gateway drains when its pod is deleted.
	ScaleInOnTermination ScaleInPolicy = "OnTermination"
)

// RolloutSpec configures how a new version of the gateways replaces the old one.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.maxSurge) && has(self.maxUnavailable) && (type(self.maxSurge) == int ? self.maxSurge == 0 : self.maxSurge.matches('^0+%$')) && (type(self.maxUnavailable) == int ? self.maxUnavailable == 0 : self.maxUnavailable.matches('^0+%$')))",message="maxSurge and maxUnavailable must not both be 0, or no pod could ever be replaced: raise spec.rollout.maxSurge or spec.rollout.maxUnavailable"
type RolloutSpec struct {
	// maxSurge is the maximum number of gateways above spec.replicas during a rollout, as a number or a percentage of
	// spec.replicas. It must not be 0 if maxUnavailable is 0. Defaults to 1.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 && self <= 2147483647 : self.matches('^(100|[0-9]{1,2})%$')",message="must be a number from 0 or a percentage from 0% to 100%, such as 1 or 25%"
	MaxSurge *intstr.IntOrString `json:"maxSurge,omitempty"`

	// maxUnavailable is the maximum number of gateways below spec.replicas during a rollout, as a number or a percentage
	// of spec.replicas. It must not be 0 if maxSurge is 0. Defaults to 0.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 && self <= 2147483647 : self.matches('^(100|[0-9]{1,2})%$')",message="must be a number from 0 or a percentage from 0% to 100%, such as 1 or 25%"
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// minReadySeconds is how many seconds a new gateway must be ready before the next old one is removed, 0 to 3600.
	// Defaults to 20.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	MinReadySeconds *int32 `json:"minReadySeconds,omitempty"`

	// maxReconnectsPerSecond is the number of clients per second that all gateways that drain send to the others together,
	// 0 to 1000000. 0 stands for half of spec.gateway.connectRate times the number of the others; where connectRate is 0
	// too, each gateway spreads its closes over spec.drain.timeout. Clients that are left at that time are closed at once.
	// Defaults to 0.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	MaxReconnectsPerSecond *int32 `json:"maxReconnectsPerSecond,omitempty"`

	// refusalPolicy is what a rollout does when gateways of the new version turn most of their clients away and those of
	// the old one do not, or, while gateways drain, when more clients come back at once than the gateways accept: Pause,
	// until they accept them or the spec has changed; or Continue. Defaults to Pause.
	// +optional
	// +kubebuilder:default=Pause
	RefusalPolicy RefusalPolicy `json:"refusalPolicy,omitempty"`
}

// RefusalPolicy is what a rollout does when clients are refused.
//
// +kubebuilder:validation:Enum=Pause;Continue
type RefusalPolicy string

// The values of RefusalPolicy.
const (
	// RefusalPause replaces no further gateway until clients are accepted.
	RefusalPause RefusalPolicy = "Pause"
	// RefusalContinue goes on.
	RefusalContinue RefusalPolicy = "Continue"
)

// EvictionSafe is when gateways may be evicted.
//
// +kubebuilder:validation:Enum=Always;OnUpgrade;Never
type EvictionSafe string

// The values of EvictionSafe.
const (
	// EvictionSafeAlways allows every eviction within the PodDisruptionBudget.
	EvictionSafeAlways EvictionSafe = "Always"
	// EvictionSafeOnUpgrade keeps autoscalers of nodes from removing nodes with gateways, and allows other evictions, such
	// as those of kubectl drain, within the PodDisruptionBudget.
	EvictionSafeOnUpgrade EvictionSafe = "OnUpgrade"
	// EvictionSafeNever refuses every eviction of a ready gateway.
	EvictionSafeNever EvictionSafe = "Never"
)

// DisruptionSpec configures which gateways the drain of nodes may evict, and how many at once.
type DisruptionSpec struct {
	// maxUnavailable is the maximum number of gateways that drain at once in evictions, scale-ins and rollouts, and that
	// evictions take away until replacements are ready, as a number or a percentage of spec.replicas. 0 forbids evictions,
	// and stands for 1 in scale-ins and rollouts. It is lowered to as many as the others can take the clients of within
	// spec.drain.timeout. A fleet of one gateway has no PodDisruptionBudget, so that its node can be drained, unless
	// evictionSafe is Never. Defaults to 1.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 && self <= 2147483647 : self.matches('^(100|[0-9]{1,2})%$')",message="must be a number from 0 or a percentage from 0% to 100%, such as 1 or 25%"
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// evictionSafe is when gateways may be evicted: Always; OnUpgrade, which keeps the Cluster Autoscaler and Karpenter
	// from removing nodes with gateways; or Never, with which the drain of a node waits until its gateways are deleted or
	// the field is changed. A change between Always and the others rolls the gateways. Defaults to Always.
	// +optional
	// +kubebuilder:default=Always
	EvictionSafe EvictionSafe `json:"evictionSafe,omitempty"`
}
