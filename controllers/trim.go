package controllers

import (
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// The functions below remove from objects what no decision of the operator depends on, before the cache keeps them.
// Other clients may have put annotations of 256 KiB on each object, and `kubectl apply` puts a copy of the object
// there. The informers trim each object as it arrives.

// ownAnnotations begins the names of the annotations that the operator sets and reads.
const ownAnnotations = v1alpha1.GroupName + "/"

// trimObject keeps the operator's own annotations, and drops the managed fields of statuses, which no drift concerns.
func trimObject(object any) (any, error) {
	if meta, ok := metaOf(object); ok {
		keepAnnotations(meta, func(name string) bool { return strings.HasPrefix(name, ownAnnotations) })
		dropStatusFields(meta)
	}
	return object, nil
}

// trimPod keeps the operator's own annotations and that of a scale-in, and drops all managed fields: drift of pods is
// not the operator's matter.
func trimPod(object any) (any, error) {
	if meta, ok := metaOf(object); ok {
		keepAnnotations(meta, func(name string) bool {
			return strings.HasPrefix(name, ownAnnotations) || name == corev1.PodDeletionCost
		})
		meta.SetManagedFields(nil)
	}
	return object, nil
}

// trimSecret keeps of a Secret's metadata what identifies it, and what says whether it is the operator's own. Of a
// Secret with a fleet's label it keeps all managed fields, which name the client that has edited it.
func trimSecret(object any) (any, error) {
	meta, ok := metaOf(object)
	if !ok {
		return object, nil
	}
	keepAnnotations(meta, func(name string) bool { return strings.HasPrefix(name, ownAnnotations) })
	cluster, labelled := meta.GetLabels()[render.LabelCluster]
	meta.SetLabels(nil)
	if labelled {
		meta.SetLabels(map[string]string{render.LabelCluster: cluster})
	}
	meta.SetFinalizers(nil)
	if labelled {
		dropStatusFields(meta)
	} else {
		meta.SetManagedFields(ownManagedFields(meta.GetManagedFields()))
	}
	return object, nil
}

// trimAutoscaler keeps of a HorizontalPodAutoscaler what it scales and its conditions, and of its metadata what drift
// depends on. The cache has those of other clients too, because one of them may scale a fleet.
func trimAutoscaler(object any) (any, error) {
	hpa, ok := object.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return object, nil
	}
	if _, labelled := hpa.Labels[render.LabelCluster]; !labelled {
		hpa.Labels = nil
		hpa.ManagedFields = ownManagedFields(hpa.ManagedFields)
	}
	hpa.Spec = autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: hpa.Spec.ScaleTargetRef}
	hpa.Status = autoscalingv2.HorizontalPodAutoscalerStatus{Conditions: hpa.Status.Conditions}
	return trimObject(object)
}

// trimAPIService keeps what says to which server an API group belongs.
func trimAPIService(object any) (any, error) {
	if apiService, ok := object.(*apiregistrationv1.APIService); ok {
		apiService.Annotations, apiService.ManagedFields = nil, nil
		apiService.Spec.CABundle = nil
		apiService.Status = apiregistrationv1.APIServiceStatus{}
	}
	return object, nil
}

// trimIngressClass keeps the annotation of the default class.
func trimIngressClass(object any) (any, error) {
	if meta, ok := metaOf(object); ok {
		keepAnnotations(meta, func(name string) bool { return name == networkingv1.AnnotationIsDefaultIngressClass })
		meta.SetManagedFields(nil)
	}
	return object, nil
}

// trimDefinition keeps the name of a CustomResourceDefinition, whose annotations are large.
func trimDefinition(object any) (any, error) {
	if meta, ok := metaOf(object); ok {
		meta.SetAnnotations(nil)
		meta.SetManagedFields(nil)
	}
	return object, nil
}

// trimCluster drops the copy of the object that `kubectl apply` keeps, and the managed fields of the status.
func trimCluster(object any) (any, error) {
	if meta, ok := metaOf(object); ok {
		keepAnnotations(meta, func(name string) bool { return name != corev1.LastAppliedConfigAnnotation })
		dropStatusFields(meta)
	}
	return object, nil
}

// metaOf returns the metadata of an object of an informer, and false for the other things that an informer passes on.
func metaOf(object any) (metav1.Object, bool) {
	if _, deleted := object.(toolscache.DeletedFinalStateUnknown); deleted {
		return nil, false
	}
	meta, ok := object.(metav1.Object)
	return meta, ok
}

func keepAnnotations(meta metav1.Object, keep func(name string) bool) {
	var kept map[string]string
	for name, value := range meta.GetAnnotations() {
		if !keep(name) {
			continue
		}
		if kept == nil {
			kept = map[string]string{}
		}
		kept[name] = value
	}
	meta.SetAnnotations(kept)
}

// dropStatusFields drops the paths of entries for the status. The names of their managers stay.
func dropStatusFields(meta metav1.Object) {
	entries := meta.GetManagedFields()
	for i := range entries {
		if entries[i].Subresource == "status" {
			entries[i].FieldsV1 = nil
		}
	}
}

// ownManagedFields returns the entries of the operator's applies.
func ownManagedFields(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	var own []metav1.ManagedFieldsEntry
	for _, entry := range entries {
		if entry.Manager == render.FieldOwner {
			own = append(own, entry)
		}
	}
	return own
}
