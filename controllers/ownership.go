package controllers

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// isOwned reports whether the object belongs to the cluster. An object that has lost its owner reference still does if
// the operator has applied it for a cluster: the annotation and the managed fields of that apply remain, and a copy of
// the object does not have both.
func isOwned(object metav1.Object, cluster *v1alpha1.WebSocketCluster) bool {
	if metav1.GetControllerOf(object) != nil {
		return metav1.IsControlledBy(object, cluster)
	}
	if object.GetAnnotations()[render.AnnotationApplied] == "" {
		return false
	}
	for _, entry := range object.GetManagedFields() {
		if entry.Manager == render.FieldOwner && entry.Operation == metav1.ManagedFieldsOperationApply {
			return true
		}
	}
	return false
}
