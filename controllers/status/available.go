package status

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// available is true while at least as many gateways serve as a rollout may leave.
func available(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionAvailable
	desired, serving := o.desired(), o.staying()
	minServing := max(1, desired-maxUnavailable(o))
	message := fmt.Sprintf("%d of %d gateways serve", serving, desired)
	if shedding := o.count(gateway.sheds); shedding > 0 {
		message += fmt.Sprintf(", of which %d take no further clients while they send some to the others", shedding)
	}
	if found := findCause(o.Gateways, o.Pods, gatewayFields); found != nil && serving < desired {
		message += ": " + found.message
	}
	if unseen := o.unlabeled(); unseen > 0 && serving < desired {
		message += fmt.Sprintf(
			"; the Deployment has %d more, which lack the label %[2]s: restore it with kubectl label pods "+
				"-l app.kubernetes.io/instance=%[3]s %[2]s=%[3]s", unseen, render.LabelCluster, o.Cluster.Name)
	}
	switch {
	case desired == 0:
		return condition(kind, false, v1alpha1.ReasonScaledToZero, "spec.replicas is 0: raise it to serve clients")
	case o.serving() == 0:
		return condition(kind, false, v1alpha1.ReasonNoneServing, message)
	case serving < minServing:
		return condition(kind, false, v1alpha1.ReasonTooFewServing, message)
	default:
		return condition(kind, true, v1alpha1.ReasonEnoughServing, message)
	}
}

// maxUnavailable returns spec.rollout.maxUnavailable as a number. Like the Deployment, it rounds a percentage down.
func maxUnavailable(o Observation) int32 {
	// The schema has checked the value, so an error is impossible.
	n, err := intstr.GetScaledValueFromIntOrPercent(o.spec().Rollout.MaxUnavailable, int(o.desired()), false)
	if err != nil {
		return 0
	}
	return int32(n)
}

// unlabeled returns how many pods of a Deployment that has what it needs the operator does not see. The Deployment does
// not go by the label by which the operator finds pods.
func (o Observation) unlabeled() int32 {
	deployment := o.Gateways
	if deployment == nil || deployment.Status.ObservedGeneration < deployment.Generation ||
		deployment.Status.AvailableReplicas < o.desired() {
		return 0
	}
	seen := o.count(func(g gateway) bool { return g.pod.DeletionTimestamp == nil && !g.finished() })
	return max(0, deployment.Status.Replicas-seen)
}
