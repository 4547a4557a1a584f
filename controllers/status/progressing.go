package status

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// progressing is true while the fleet is on its way to what the spec asks for.
func progressing(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionProgressing
	if o.spec().Paused {
		return condition(kind, false, v1alpha1.ReasonPaused, "spec.paused is true: the operator writes nothing until it is false")
	}
	for _, problem := range o.Problems {
		if problem.BlocksGateways {
			return condition(kind, false, problem.Reason, "the gateways stay as they are: "+problem.Message)
		}
	}
	if o.Gateways == nil {
		return condition(kind, true, v1alpha1.ReasonRollingOut, "the gateways are being created")
	}
	seen := o.Gateways.Status
	switch {
	case seen.ObservedGeneration < o.Gateways.Generation:
		return condition(kind, true, v1alpha1.ReasonRollingOut, "the change has not reached the Deployment yet")
	case deadlineExceeded(o.Gateways):
		return condition(kind, false, v1alpha1.ReasonDeadlineExceeded,
			"new gateways do not become ready: see the other conditions, and the events and logs of the pods")
	case seen.UpdatedReplicas < seen.Replicas:
		return condition(kind, true, v1alpha1.ReasonRollingOut,
			fmt.Sprintf("%d of %d gateways run the new version", seen.UpdatedReplicas, o.wanted()))
	case seen.Replicas != o.wanted() || seen.AvailableReplicas < o.wanted():
		return condition(kind, true, v1alpha1.ReasonScaling,
			fmt.Sprintf("%d of %d gateways are there, %d of them long enough to count", seen.Replicas, o.wanted(), seen.AvailableReplicas))
	default:
		return condition(kind, false, v1alpha1.ReasonSettled, "the fleet is what the spec asks for")
	}
}

func deadlineExceeded(deployment *appsv1.Deployment) bool {
	for _, one := range deployment.Status.Conditions {
		if one.Type == appsv1.DeploymentProgressing {
			return one.Status == corev1.ConditionFalse && one.Reason == "ProgressDeadlineExceeded"
		}
	}
	return false
}
