package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

// completionOwner is the field manager with which the operator sets spec.replicas where the user leaves it out.
const completionOwner = render.FieldOwner + "-replicas"

// completeCluster writes what the operator adds to the stored cluster: spec.replicas where the user leaves it out, so
// that the scale subresource has a number, and the finalizer. Both are one write. stored is up to date afterwards and
// has a number of replicas. A paused cluster is not written.
//
// The problem is what the user has to know when the API server refuses the write, or nil. completeCluster returns an
// error when the Deployment cannot be read, or when a write fails for now.
func (r *Reconciler) completeCluster(
	ctx context.Context, stored *v1alpha1.WebSocketCluster,
) (*status.Problem, error) {
	replicas, err := r.replicas(ctx, stored)
	if err != nil {
		return nil, err
	}
	completed := stored.DeepCopy()
	completed.Spec.Replicas = &replicas
	if stored.Spec.Paused {
		*stored = *completed
		return nil, nil
	}
	keepFinalizer(completed)
	switch err := r.patchCompletion(ctx, stored, completed); {
	case err == nil:
		return nil, r.releaseReplicas(ctx, stored)
	case isRefusal(err):
		*stored = *completed
		return &status.Problem{
			Reason: v1alpha1.ReasonApplyRefused,
			Message: "Kubernetes refuses what the operator adds to the WebSocketCluster, set spec.replicas yourself: " +
				shorten(err.Error()),
		}, nil
	default:
		return nil, fmt.Errorf("complete the cluster: %w", err)
	}
}

// replicas returns the desired number of gateways, also where the spec leaves it out. It returns an error when the
// Deployment cannot be read.
func (r *Reconciler) replicas(ctx context.Context, stored *v1alpha1.WebSocketCluster) (int32, error) {
	if stored.Spec.Replicas != nil {
		return *stored.Spec.Replicas, nil
	}
	deployment, err := r.deploymentOf(ctx, stored, render.GatewayName(stored.Name))
	if err != nil {
		return 0, err
	}
	spec := stored.Spec.DeepCopy()
	spec.SetDefaults()
	return plan.Replicas(*spec, deployment), nil
}

// keepFinalizer gives a fleet with a managed Redis the finalizer that makes its gateways go before Redis, and takes it
// from a fleet that has left the managed Redis. A fleet without gateways gets none.
func keepFinalizer(cluster *v1alpha1.WebSocketCluster) {
	switch spec := cluster.Spec; {
	case spec.Redis != nil && spec.Redis.Managed == nil:
		controllerutil.RemoveFinalizer(cluster, v1alpha1.FinalizerRedisLast)
	case *spec.Replicas > 0:
		controllerutil.AddFinalizer(cluster, v1alpha1.FinalizerRedisLast)
	}
}

// releaseReplicas gives up the operator's ownership of spec.replicas where a user applies the cluster by server-side
// apply: the user's own number would be a conflict with that of the operator, which is no more than a default. A user
// that applies otherwise meets no conflict, and the write is spared. releaseReplicas returns an error when the write
// fails.
func (r *Reconciler) releaseReplicas(ctx context.Context, stored *v1alpha1.WebSocketCluster) error {
	entries := stored.ManagedFields
	owned := slices.IndexFunc(entries, func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager == completionOwner
	})
	if owned < 0 || !slices.ContainsFunc(entries, isApply) {
		return nil
	}
	// By its index, because the cache drops parts of the other entries.
	data, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/resourceVersion", "value": stored.ResourceVersion},
		{"op": "remove", "path": fmt.Sprintf("/metadata/managedFields/%d", owned)},
	})
	if err != nil {
		return err //nolint:wrapcheck // cannot happen: the values are plain
	}
	if err := r.patchCluster(ctx, stored, client.RawPatch(types.JSONPatchType, data)); err != nil {
		return fmt.Errorf("give up the ownership of spec.replicas: %w", err)
	}
	return nil
}

// isApply reports whether the entry is of a server-side apply of the object.
func isApply(entry metav1.ManagedFieldsEntry) bool {
	return entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == ""
}

// patchCompletion writes the difference between stored and completed, unless there is none, if the stored cluster has
// not changed since it was read. stored is what was written afterwards. patchCompletion returns the API server's error.
func (r *Reconciler) patchCompletion(ctx context.Context, stored, completed *v1alpha1.WebSocketCluster) error {
	if apiequality.Semantic.DeepEqual(stored, completed) {
		return nil
	}
	patch := client.MergeFromWithOptions(stored, client.MergeFromWithOptimisticLock{})
	data, err := patch.Data(completed)
	if err != nil {
		return err //nolint:wrapcheck // the callers tell the API server's errors apart
	}
	return r.patchCluster(ctx, stored, client.RawPatch(types.MergePatchType, data))
}

// patchCluster sends a patch of the stored cluster, which is what was written afterwards. It returns the API server's
// error.
func (r *Reconciler) patchCluster(
	ctx context.Context, stored *v1alpha1.WebSocketCluster, patch client.Patch,
) error {
	// A new object takes the answer: what the answer lacks would stay in an old one.
	written := &v1alpha1.WebSocketCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: stored.Namespace, Name: stored.Name},
	}
	if err := r.client.Patch(ctx, written, patch, client.FieldOwner(completionOwner)); err != nil {
		return err //nolint:wrapcheck // the callers tell the API server's errors apart
	}
	*stored = *written
	return nil
}
