package status

import (
	"fmt"
	"math"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// progressing is true while the fleet changes towards the spec.
func progressing(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionProgressing
	if !o.DeletionDeadline.IsZero() {
		return condition(kind, true, v1alpha1.ReasonDeleting, fmt.Sprintf(
			"the WebSocketCluster is being deleted: %d gateways hand their clients over; when they are gone, "+
				"or at %s, Redis and the other objects are deleted",
			o.count(gateway.draining), o.DeletionDeadline.UTC().Format(time.RFC3339)))
	}
	if o.spec().Paused {
		return condition(kind, false, v1alpha1.ReasonPaused,
			"spec.paused is true: the operator changes nothing until it is false")
	}
	for _, problem := range o.Problems {
		if problem.BlocksGateways {
			return condition(kind, false, problem.Reason, "the gateways are not changed: "+problem.Message)
		}
	}
	if o.Gateways == nil {
		return condition(kind, true, v1alpha1.ReasonRollingOut, "the gateways are being created")
	}
	current := rollout(o, findCause(o.Gateways, o.Pods, gatewayFields))
	if scalingIn, some := scaleIn(o, current); some {
		return scalingIn
	}
	if rebalancing, some := rebalance(o, current); some {
		return rebalancing
	}
	if o.UpgradeWaits && current.Reason == v1alpha1.ReasonSettled {
		return condition(kind, true, v1alpha1.ReasonUpgradeQueued, fmt.Sprintf("the gateways wait for their turn to be "+
			"upgraded with the operator: %d fleets before this one; a change of the spec upgrades them at once",
			o.UpgradesBefore))
	}
	return current
}

// scaleIn returns the condition by the progress of a scale-in, or false when there is none, or something is wrong with
// the pods, as current says.
func scaleIn(o Observation, current metav1.Condition) (metav1.Condition, bool) {
	const kind = v1alpha1.ConditionProgressing
	healthy := current.Status == metav1.ConditionTrue || current.Reason == v1alpha1.ReasonSettled
	going, clients := 0, 0
	for _, g := range o.gateways() {
		if g.scalesIn() {
			going++
			if g.report != nil {
				clients += g.report.Connections
			}
		}
	}
	drains := fmt.Sprintf("gateways that drain before they are deleted: %d, with %d clients left", going, clients)
	switch {
	case !healthy:
	case going > 0 && o.ScaleInWaits != "":
		return condition(kind, true, v1alpha1.ReasonScalingIn, drains+"; further ones wait: "+o.ScaleInWaits), true
	case going > 0:
		return condition(kind, true, v1alpha1.ReasonScalingIn, drains), true
	case o.ScaleInWaits != "":
		return condition(kind, true, v1alpha1.ReasonScaleInWaits, fmt.Sprintf(
			"spec.replicas is %d, and no gateway drains for it yet: %s", o.desired(), o.ScaleInWaits)), true
	}
	return metav1.Condition{}, false
}

// rebalance returns the condition by the progress of a rebalance, or false when there is none, or something else goes
// on, as current says.
func rebalance(o Observation, current metav1.Condition) (metav1.Condition, bool) {
	const kind = v1alpha1.ConditionProgressing
	shedding := o.rebalancing()
	// A gateway that sheds is not ready, and not available for a while after that.
	alone := current.Reason == v1alpha1.ReasonSettled ||
		current.Reason == v1alpha1.ReasonScaling && o.staying() >= o.desired()
	switch {
	case !alone:
	case shedding > 0 && (o.count(gateway.sheds) > 0 || current.Reason == v1alpha1.ReasonScaling):
		return condition(kind, true, v1alpha1.ReasonRebalancing, fmt.Sprintf(
			"gateways that send a part of their clients to the others, which have fewer: %d", shedding)), true
	case o.RebalanceWaits != "":
		return condition(kind, false, v1alpha1.ReasonRebalanceWaits,
			"gateways with more than their share of the clients keep them for now: "+o.RebalanceWaits), true
	}
	return metav1.Condition{}, false
}

// rollout returns the condition by the progress of the Deployment. found is why its pods do not run, or nil.
func rollout(o Observation, found *cause) metav1.Condition {
	const kind = v1alpha1.ConditionProgressing
	deployment, desired := o.Gateways, o.desired()
	current := deployment.Status
	old := current.UpdatedReplicas < current.Replicas
	few := current.Replicas != desired || current.AvailableReplicas < desired
	switch {
	case current.ObservedGeneration < deployment.Generation:
		return condition(kind, true, v1alpha1.ReasonRollingOut, "the Deployment has not observed the change yet")
	case deadlineExceeded(deployment):
		return condition(kind, false, v1alpha1.ReasonDeadlineExceeded, "new gateways do not become ready: "+
			causeOr(found, "see the other conditions, and the events and logs of the pods"))
	case deployment.Spec.Paused && old && o.RolloutWaits == "" && !render.RolloutHeld(deployment):
		return condition(kind, false, v1alpha1.ReasonRolloutPaused, fmt.Sprintf(
			"another client has paused Deployment %[1]s, so its pods keep their version: run kubectl rollout resume "+
				"deployment/%[1]s; to pause the whole fleet, set spec.paused", deployment.Name))
	case found != nil && (old || few):
		return condition(kind, false, found.reason, found.message)
	case old && o.RolloutRefused && o.RolloutWaits != "":
		return condition(kind, false, v1alpha1.ReasonClientsRefused, fmt.Sprintf(
			"%d of %d gateways run the new version, and the rollout does not go on: %s, and those of the old version do not; "+
				"websocket_refused_total and websocket_command_errors_total say why; change the spec back, mend what refuses "+
				"them, or set spec.rollout.refusalPolicy to Continue", current.UpdatedReplicas, desired, o.RolloutWaits))
	case old:
		return condition(kind, true, v1alpha1.ReasonRollingOut, rollingOut(o))
	case few:
		return condition(kind, true, v1alpha1.ReasonScaling,
			fmt.Sprintf("%d of %d gateways exist, and %d have been ready for spec.rollout.minReadySeconds",
				current.Replicas, desired, current.AvailableReplicas))
	default:
		return condition(kind, false, v1alpha1.ReasonSettled, "the fleet matches the spec")
	}
}

// rollingOut describes a rollout that is under way.
func rollingOut(o Observation) string {
	message := fmt.Sprintf("%d of %d gateways run the new version", o.Gateways.Status.UpdatedReplicas, o.desired())
	if o.RolloutLeft > 0 {
		// In whole minutes, so that the status is not written for each second.
		message += fmt.Sprintf(", about %d min left", int(math.Ceil(o.RolloutLeft.Minutes())))
	}
	if o.RolloutWaits != "" {
		message += "; the next one waits: " + o.RolloutWaits
	}
	return message
}

// deadlineExceeded reports whether the Deployment's rollout has made no progress within its deadline.
func deadlineExceeded(deployment *appsv1.Deployment) bool {
	for _, condition := range deployment.Status.Conditions {
		if condition.Type == appsv1.DeploymentProgressing {
			return condition.Status == corev1.ConditionFalse && condition.Reason == "ProgressDeadlineExceeded"
		}
	}
	return false
}
