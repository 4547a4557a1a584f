package v1alpha1

import "k8s.io/apimachinery/pkg/util/intstr"

// RebalanceSpec configures how clients move from gateways that have many more than the others. Long connections do not
// move by themselves: after a scale-out, a rollout or the return of a node, some gateways would stay full and others
// empty.
type RebalanceSpec struct {
	// enabled is whether the operator moves clients by itself. A gateway that has more than its share sends the excess
	// away, once for each gateway that is newer than it is: it is not ready meanwhile, so that the clients find others
	// whatever affinity they have. Rollouts, scale-ins and drains come first. Defaults to false.
	// +optional
	Enabled bool `json:"enabled,omitempty"`

	// tolerancePercent is by how many percent a gateway may have more connections than the average, 5 to 500. In fleets
	// with few connections, chance makes larger differences, which are left alone too. Defaults to 20.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=5
	// +kubebuilder:validation:Maximum=500
	TolerancePercent *int32 `json:"tolerancePercent,omitempty"`

	// maxShedPerMinute is the maximum number of clients that are moved per minute, as a number or a percentage of the
	// fleet's connections. It is lowered to spec.rollout.maxReconnectsPerSecond. Defaults to 5%.
	// +optional
	// +kubebuilder:default="5%"
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 && self <= 60000000 : self.matches('^(100|[1-9][0-9]?)%$')",message="must be a number from 1 to 60000000 or a percentage from 1% to 100%, such as 600 or 5%"
	MaxShedPerMinute *intstr.IntOrString `json:"maxShedPerMinute,omitempty"`
}
