package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// markDraining gives the pods of gateways that drain a label, by which they leave status.selector, and takes it from
// those that serve again. A label that cannot be written changes no more than an autoscaler's view of the pod, so an
// error is logged, and the next reconcile tries again.
func (r *Reconciler) markDraining(ctx context.Context, cluster *v1alpha1.WebSocketCluster, pods []corev1.Pod) {
	reports, known := r.fleet.StatusSnapshot(client.ObjectKeyFromObject(cluster))
	if !known || cluster.Spec.Paused {
		return
	}
	for _, mark := range plan.DrainMarks(pods, reports) {
		err := r.patchDrainLabel(ctx, mark)
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			log.FromContext(ctx).Error(err, "Could not label a gateway", "pod", mark.Pod.Name, "draining", mark.Draining)
		}
	}
}

// patchDrainLabel writes the label, or removes it, if the pod still is the one that was read. It returns the API
// server's error.
func (r *Reconciler) patchDrainLabel(ctx context.Context, mark plan.DrainMark) error {
	var value any
	if mark.Draining {
		value = "true"
	}
	return r.patchPod(ctx, mark.Pod, map[string]any{"labels": map[string]any{render.LabelDraining: value}})
}
