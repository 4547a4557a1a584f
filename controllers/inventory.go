package controllers

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

// inventory is the objects that exist under the names of a fleet's objects.
type inventory struct {
	// owned are the operator's own.
	owned map[render.Ref]client.Object
	// foreign are in the way of objects that the fleet shall have.
	foreign map[render.Ref]client.Object
}

// listOwned looks up each of the fleet's objects and writes nothing. It returns an error when a lookup fails.
func (a *applier) listOwned(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, objects []render.Object,
) (inventory, error) {
	existing := inventory{owned: map[render.Ref]client.Object{}, foreign: map[render.Ref]client.Object{}}
	for _, object := range objects {
		found, err := a.find(ctx, cluster, object)
		switch {
		case err != nil:
			return inventory{}, err
		case found == nil:
		case isOwned(found, cluster):
			existing.owned[object.Ref] = found
		case object.Desired != nil:
			existing.foreign[object.Ref] = found
		}
	}
	return existing, nil
}

// find returns the object from the cache, or nil when it does not exist. No object exists of a kind that the cluster
// does not have. The cache holds only objects with the operator's label. An object that shall exist and is not in the
// cache may exist without the label, so the API server is asked for it, unless the cluster is new. find returns an
// error when a lookup fails.
func (a *applier) find(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, object render.Object,
) (client.Object, error) {
	if !a.kinds.served(object.Kind) {
		return nil, nil
	}
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: object.Name}
	cached := cachedObject(object.Ref)
	err := a.cacheOf(object.Kind).Get(ctx, key, cached)
	if err == nil {
		return cached, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("look up %s: %w", object, err)
	}
	if object.Desired == nil || a.newClusters.has(cluster) {
		return nil, nil
	}
	live := metadataOf(object.Ref)
	if err := a.live.Get(ctx, key, live); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("look up %s: %w", object, err)
	}
	return live, nil
}

// cacheOf returns the cache that has the objects of the kind.
func (a *applier) cacheOf(kind schema.GroupVersionKind) client.Reader {
	if render.IsOptional(kind) {
		return a.kinds.objects
	}
	return a.client
}

// cachedObject returns an empty object to read from the cache: a typed or unstructured one for the kinds whose status
// the operator reads, and metadata for the others.
func cachedObject(ref render.Ref) client.Object {
	switch ref.Kind.GroupKind() {
	case appsv1.SchemeGroupVersion.WithKind("Deployment").GroupKind():
		return &appsv1.Deployment{}
	case corev1.SchemeGroupVersion.WithKind("Service").GroupKind():
		return &corev1.Service{}
	case autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler").GroupKind():
		return &autoscalingv2.HorizontalPodAutoscaler{}
	case networkingv1.SchemeGroupVersion.WithKind("Ingress").GroupKind():
		return &networkingv1.Ingress{}
	case render.HTTPRouteRef("").Kind.GroupKind():
		route := &unstructured.Unstructured{}
		route.SetGroupVersionKind(ref.Kind)
		return route
	default:
		return metadataOf(ref)
	}
}

func metadataOf(ref render.Ref) *metav1.PartialObjectMetadata {
	meta := &metav1.PartialObjectMetadata{}
	meta.SetGroupVersionKind(ref.Kind)
	return meta
}

// foreignProblem says which object is in the way and what the user can do.
func foreignProblem(ref render.Ref, found metav1.Object, cluster *v1alpha1.WebSocketCluster) *status.Problem {
	message := "there is a %s that does not belong to this WebSocketCluster and is left alone: " +
		"remove it, or give the WebSocketCluster another metadata.name"
	owner := metav1.GetControllerOf(found)
	if owner != nil && owner.Kind == v1alpha1.KindWebSocketCluster && owner.Name == cluster.Name {
		message = "there still is the %s of an earlier WebSocketCluster of this name: " +
			"wait until Kubernetes has removed it"
	}
	return &status.Problem{Reason: v1alpha1.ReasonForeignObject, Message: fmt.Sprintf(message, ref)}
}
