package controllers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// drainRecheck is how soon the next step is planned while gateways drain.
const drainRecheck = 2 * time.Second

// nextStep is what to do next about a fleet's gateways.
type nextStep struct {
	scaleIn   plan.ScaleInStep
	rebalance plan.RebalanceStep
	hold      plan.Hold
	// evictionsWait says why no gateway must be evicted now. It is empty for none.
	evictionsWait string
	paces         []plan.Pace
	// refusals reports that clients are refused while a rollout is under way.
	refusals bool
	// rolloutSecondsLeft is how long the rollout takes from now on, about, or 0 without one.
	rolloutSecondsLeft int64
}

// planNext returns what to do next about the fleet's gateways, which is nothing for a fleet that stays as it is.
func (r *Reconciler) planNext(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, observed observedState,
) nextStep {
	key, now := client.ObjectKeyFromObject(cluster), metav1.Now()
	reports, known := r.fleet.LatestSnapshot(key)
	if !known && (deploymentSize(observed.gateways) > *cluster.Spec.Replicas || observed.gatewaysRoll() ||
		slices.ContainsFunc(observed.pods, mayDrain)) {
		// An operator that has just started must not take gateways for empty, nor for gateways that serve.
		r.fleet.ScrapeNow(ctx, key)
		reports, _ = r.fleet.LatestSnapshot(key)
	}
	gateways := plan.Gateways(observed.pods, reports, now)
	rollout := plan.Rollout{Spec: cluster.Spec, Deployment: observed.gateways, Gateways: gateways}
	return nextStep{
		scaleIn: plan.NextScaleInStep(plan.ScaleIn{
			Spec: cluster.Spec, Deployment: observed.gateways, Gateways: gateways, Now: now,
		}),
		rebalance: plan.NextRebalanceStep(plan.Rebalance{
			Spec: cluster.Spec, Deployment: observed.gateways, Gateways: gateways,
			Requested: plan.RebalanceRequested(cluster.Annotations[v1alpha1.AnnotationRebalance], now),
		}),
		hold:               plan.HoldRollout(rollout),
		evictionsWait:      plan.HoldEvictions(cluster.Spec, gateways),
		paces:              plan.Paces(cluster.Spec, gateways),
		refusals:           plan.RefusalsMatter(rollout),
		rolloutSecondsLeft: plan.RolloutSecondsLeft(rollout),
	}
}

// mayDrain reports whether a scale-in has marked or retired the pod, or its gateway drains for another reason.
func mayDrain(pod corev1.Pod) bool {
	_, drains := pod.Labels[render.LabelDraining]
	return drains || pod.DeletionTimestamp != nil ||
		pod.Annotations[render.AnnotationScaleIn] != "" || pod.Annotations[corev1.PodDeletionCost] != ""
}

// deploymentSize returns the number of pods that a Deployment asks for, or 0 without one.
func deploymentSize(deployment *appsv1.Deployment) int32 {
	if deployment == nil || deployment.Spec.Replicas == nil {
		return 0
	}
	return *deployment.Spec.Replicas
}

// carryOut makes the changes of a step that concern pods, and returns after which time the next step is due, or 0 when
// the fleet stays as it is. What cannot be done now is logged, and part of the next step again. A Deployment that this
// reconcile has changed has to be observed before gateways drain for a scale-in.
func (r *Reconciler) carryOut(
	ctx context.Context, stored *v1alpha1.WebSocketCluster, next nextStep, result *applyResult,
) time.Duration {
	if stored.Spec.Paused {
		return 0
	}
	for _, pace := range next.paces {
		request := contract.DrainRequest{JoinOnly: true, ClosesPerSecond: float64(pace.PerSecond)}
		err := r.fleet.Drain(ctx, client.ObjectKeyFromObject(stored), pace.Gateway.Pod, request)
		r.logChange(ctx, pace.Gateway, "pace", err)
	}
	step := next.scaleIn
	r.keepClients(ctx, stored, next.rebalance)
	switch {
	case next.atRest():
		return 0
	case result.gatewaysHeld(), result.wrote(render.DeploymentRef(render.GatewayName(stored.Name))):
		return drainRecheck
	}
	r.shedClients(ctx, stored, next.rebalance)
	for _, drain := range step.Drain {
		r.logChange(ctx, drain.Gateway, "drain", r.drainGateway(ctx, stored, drain))
	}
	for _, gateway := range step.Retire {
		err := r.annotate(ctx, gateway.Pod, map[string]any{corev1.PodDeletionCost: render.DeletionCostRetired})
		r.logChange(ctx, gateway, "retire", err)
	}
	for _, gateway := range step.Restore {
		r.logChange(ctx, gateway, "restore", r.restoreGateway(ctx, stored, gateway))
	}
	return drainRecheck
}

// atRest reports whether nothing is to be done, and nothing goes on that a next step depends on.
func (n nextStep) atRest() bool {
	step, rebalance := n.scaleIn, n.rebalance
	return len(step.Drain)+len(step.Retire)+len(step.Restore)+step.Draining == 0 && step.Waits == "" &&
		len(rebalance.Shed)+len(rebalance.Restore)+rebalance.Shedding == 0 &&
		n.hold.Why == "" && n.evictionsWait == "" && !n.refusals
}

// keepClients asks gateways that send clients away for a rebalance to keep the rest.
func (r *Reconciler) keepClients(ctx context.Context, stored *v1alpha1.WebSocketCluster, step plan.RebalanceStep) {
	key := client.ObjectKeyFromObject(stored)
	for _, gateway := range step.Restore {
		r.events.changed(stored, gateway.Pod, v1alpha1.ReasonRebalanceStopped, actionDrain, fmt.Sprintf(
			"gateway %s keeps the rest of its clients: %s", gateway.Pod.Name,
			cmp.Or(step.Waits, "spec.rebalance.enabled is false")))
		r.logChange(ctx, gateway, "keep clients", r.fleet.Undrain(ctx, key, gateway.Pod))
	}
}

// shedClients asks gateways to send a part of their clients away.
func (r *Reconciler) shedClients(ctx context.Context, stored *v1alpha1.WebSocketCluster, step plan.RebalanceStep) {
	key := client.ObjectKeyFromObject(stored)
	for _, shed := range step.Shed {
		r.events.changed(stored, shed.Gateway.Pod, v1alpha1.ReasonRebalancing, actionDrain, shed.String())
		r.logChange(ctx, shed.Gateway, "shed clients", r.fleet.Drain(ctx, key, shed.Gateway.Pod, contract.DrainRequest{
			Reason: plan.DrainReasonRebalance, Keep: shed.Keep, ClosesPerSecond: shed.PerSecond,
		}))
	}
}

// logChange logs that a gateway could not be changed. A pod that is gone or has changed is no failure: the next step
// follows from what is there then.
func (r *Reconciler) logChange(ctx context.Context, gateway plan.Gateway, change string, err error) {
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		log.FromContext(ctx).Error(err, "Could not change a gateway", "pod", gateway.Pod.Name,
			"change", change)
	}
}

// drainGateway marks the pod and asks its gateway to drain. The mark comes first, so that an operator that starts now
// knows why the gateway drains. It returns an error when one of them fails.
func (r *Reconciler) drainGateway(
	ctx context.Context, stored *v1alpha1.WebSocketCluster, drain plan.Drain,
) error {
	pod, until := drain.Gateway.Pod, drain.Deadline.UTC().Format(time.RFC3339)
	if pod.Annotations[render.AnnotationScaleIn] != until {
		if err := r.annotate(ctx, pod, map[string]any{render.AnnotationScaleIn: until}); err != nil {
			return err
		}
		r.events.changed(stored, pod, v1alpha1.ReasonScalingIn, actionDrain, fmt.Sprintf(
			"gateway %s drains before it is deleted, because spec.replicas is lower: %d clients, until %s at the latest",
			pod.Name, drain.Gateway.Report.Connections, until))
	}
	left := time.Until(drain.Deadline.Time)
	//nolint:wrapcheck // it names the pod
	return r.fleet.Drain(ctx, client.ObjectKeyFromObject(stored), pod, contract.DrainRequest{
		Reason:         plan.DrainReasonScaleIn,
		TimeoutSeconds: max(1, int(left.Round(time.Second).Seconds())),
		ServeAgain:     true,
	})
}

// restoreGateway lets the gateway serve again and takes the marks from its pod after that. A gateway whose last report
// says that it serves may have begun to drain since. One that a user drains stays as it is. restoreGateway returns an
// error when the gateway does not answer, unless it is not ready and has never reported, or when the pod cannot be
// written.
func (r *Reconciler) restoreGateway(
	ctx context.Context, stored *v1alpha1.WebSocketCluster, gateway plan.Gateway,
) error {
	byHand := gateway.Report.Drain != nil && gateway.Report.Drain.Reason != plan.DrainReasonScaleIn
	if !byHand && (gateway.Reported || fleet.IsReady(gateway.Pod)) {
		if err := r.fleet.Undrain(ctx, client.ObjectKeyFromObject(stored), gateway.Pod); err != nil {
			return err //nolint:wrapcheck // names the pod
		}
	}
	if _, marked := gateway.Pod.Annotations[render.AnnotationScaleIn]; marked {
		r.events.changed(stored, gateway.Pod, v1alpha1.ReasonScaleInUndone, actionDrain, fmt.Sprintf(
			"gateway %s serves again: it is not to be deleted any more", gateway.Pod.Name))
	}
	return r.annotate(ctx, gateway.Pod, map[string]any{render.AnnotationScaleIn: nil, corev1.PodDeletionCost: nil})
}

// annotate writes annotations of a pod, if it still is the one that was read; nil removes one. It returns the API
// server's error.
func (r *Reconciler) annotate(ctx context.Context, pod *corev1.Pod, annotations map[string]any) error {
	return r.patchPod(ctx, pod, map[string]any{"annotations": annotations})
}

// patchPod writes a part of a pod's metadata, if it still is the one that was read. It returns the API server's error.
func (r *Reconciler) patchPod(ctx context.Context, pod *corev1.Pod, metadata map[string]any) error {
	metadata["uid"] = pod.UID
	patch, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return err //nolint:wrapcheck // cannot happen: the values are plain
	}
	written := &corev1.Pod{}
	written.Namespace, written.Name = pod.Namespace, pod.Name
	//nolint:wrapcheck // the caller tells the API server's errors apart
	return r.client.Patch(ctx, written, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(render.FieldOwner))
}
