package controllers

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// reconcileDeletion takes a fleet that is being deleted down in order: first the gateways, whose clients can publish
// until their connections are closed, then Redis. It creates nothing. A fleet without the finalizer needs nothing: the
// garbage collector deletes its objects by their owner references. It returns an error when a read or a write failed
// for now, or when an object has changed since it was read.
func (r *Reconciler) reconcileDeletion(
	ctx context.Context, stored *v1alpha1.WebSocketCluster,
) (reconcile.Result, error) {
	r.upgrades.end(client.ObjectKeyFromObject(stored), false)
	if !controllerutil.ContainsFinalizer(stored, v1alpha1.FinalizerRedisLast) {
		return reconcile.Result{}, nil
	}
	// With --cascade=orphan the gateways and Redis stay, so there is nothing to take down.
	if controllerutil.ContainsFinalizer(stored, metav1.FinalizerOrphanDependents) {
		return reconcile.Result{}, r.release(ctx, stored)
	}
	replicas, err := r.replicas(ctx, stored)
	if err != nil {
		return reconcile.Result{}, err
	}
	cluster := stored.DeepCopy()
	cluster.Spec.SetDefaults()
	cluster.Spec.Replicas = &replicas
	step, err := r.takeGatewaysDown(ctx, cluster)
	if err != nil {
		return reconcile.Result{}, err
	}
	if step.Release {
		if step.Left > 0 {
			r.events.warn(stored, v1alpha1.ReasonGatewaysLeft, actionDelete, fmt.Sprintf(
				"%d gateways are not gone, although their grace period is over: Redis is deleted without them", step.Left))
		}
		return reconcile.Result{}, r.release(ctx, stored)
	}
	statusDelay, err := r.showDeletion(ctx, stored, cluster, step)
	if err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{
		RequeueAfter: soonest([]time.Duration{statusDelay, max(time.Second, time.Until(step.Deadline.Time))}),
	}, nil
}

// release removes the finalizer, so that Kubernetes deletes the cluster and what it still has. It returns the API
// server's error, unless the cluster is gone.
func (r *Reconciler) release(ctx context.Context, stored *v1alpha1.WebSocketCluster) error {
	released := stored.DeepCopy()
	controllerutil.RemoveFinalizer(released, v1alpha1.FinalizerRedisLast)
	if err := client.IgnoreNotFound(r.patchCompletion(ctx, stored, released)); err != nil {
		return fmt.Errorf("remove the finalizer: %w", err)
	}
	return nil
}

// takeGatewaysDown does the next step of the gateways' deletion and returns it. It returns an error when a read or the
// deletion failed for now.
func (r *Reconciler) takeGatewaysDown(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster,
) (plan.DeletionStep, error) {
	deployment, err := r.deploymentOf(ctx, cluster, render.GatewayName(cluster.Name))
	if err != nil {
		return plan.DeletionStep{}, err
	}
	pods, err := podsOf(ctx, r.client, client.ObjectKeyFromObject(cluster), render.ComponentGateway)
	if err != nil {
		return plan.DeletionStep{}, fmt.Errorf("list gateway pods: %w", err)
	}
	step := plan.NextDeletionStep(plan.Deletion{
		RequestedAt:        *cluster.DeletionTimestamp,
		Deployment:         deployment,
		Pods:               pods,
		GracePeriodSeconds: render.GracePeriodSeconds(cluster.Spec.Drain),
		Now:                metav1.Now(),
	})
	if !step.DeleteDeployment {
		return step, nil
	}
	// In the foreground, the Deployment stays until its pods are gone, and shows since when they go.
	err = r.client.Delete(ctx, deployment, client.Preconditions{UID: &deployment.UID},
		client.PropagationPolicy(metav1.DeletePropagationForeground))
	if client.IgnoreNotFound(err) != nil {
		return step, fmt.Errorf("delete the gateways: %w", err)
	}
	log.FromContext(ctx).Info("The cluster is being deleted: its gateways go first", "deadline", step.Deadline)
	return step, nil
}

// showDeletion writes how far the deletion is into the status, and returns how long a status has to wait that comes too
// soon. It returns an error when a read or the write failed for now.
func (r *Reconciler) showDeletion(
	ctx context.Context, stored, cluster *v1alpha1.WebSocketCluster, step plan.DeletionStep,
) (time.Duration, error) {
	observed, err := r.observe(ctx, cluster)
	if err != nil {
		return 0, err
	}
	observed.deletionDeadline = step.Deadline.Time
	input := r.input(cluster, observed)
	objects, err := r.render(input)
	if err != nil {
		return 0, fmt.Errorf("render: %w", err)
	}
	existing, err := r.applier.listOwned(ctx, cluster, objects)
	if err != nil {
		return 0, err
	}
	return r.updateStatus(ctx, stored, cluster, input, &applyResult{owned: existing.owned}, observed)
}
