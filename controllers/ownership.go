package controllers

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// isOurs says whether the object belongs to the cluster. One that somebody took the owner reference
// from still does, if the operator has applied it for this cluster: the API server remembers that,
// and a mere copy of the object does not have it.
func isOurs(object metav1.Object, cluster *v1alpha1.WebSocketCluster) bool {
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
