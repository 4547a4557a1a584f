package controllers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/wsfleet/wsfleet/controllers/render"
)

// untrimmed is what another client's object may have.
func untrimmed() metav1.ObjectMeta {
	fields := &metav1.FieldsV1{}
	fields.SetRawString(`{"f:data":{}}`)
	return metav1.ObjectMeta{
		Namespace:  "team",
		Name:       "x",
		UID:        "1",
		Labels:     map[string]string{render.LabelCluster: "demo", "other": "label"},
		Finalizers: []string{"example.com/f"},
		Annotations: map[string]string{
			render.AnnotationApplied:                     "hash",
			corev1.LastAppliedConfigAnnotation:           "a copy",
			networkingv1.AnnotationIsDefaultIngressClass: "true",
			corev1.PodDeletionCost:                       "-5",
			"example.com/a":                              "b",
		},
		OwnerReferences: []metav1.OwnerReference{{Kind: "K", Name: "n", UID: "2"}},
		ManagedFields: []metav1.ManagedFieldsEntry{
			{Manager: render.FieldOwner, Operation: metav1.ManagedFieldsOperationApply, FieldsV1: fields},
			{Manager: "kubectl", FieldsV1: fields},
			{Manager: "kube-controller-manager", Subresource: "status", FieldsV1: fields},
		},
	}
}

func trimmed(t *testing.T, trim toolscache.TransformFunc) *metav1.PartialObjectMetadata {
	t.Helper()
	object, err := trim(&metav1.PartialObjectMetadata{ObjectMeta: untrimmed()})
	require.NoError(t, err)
	return object.(*metav1.PartialObjectMetadata)
}

func TestTrimObjectKeepsWhatDriftDependsOn(t *testing.T) {
	object := trimmed(t, trimObject)
	want := untrimmed()
	want.Annotations = map[string]string{render.AnnotationApplied: "hash"}
	want.ManagedFields[2].FieldsV1 = nil
	assert.Equal(t, want, object.ObjectMeta)
}

func TestTrimPodDropsManagedFields(t *testing.T) {
	object := trimmed(t, trimPod)
	assert.Equal(t, map[string]string{render.AnnotationApplied: "hash", corev1.PodDeletionCost: "-5"}, object.Annotations)
	assert.Nil(t, object.ManagedFields)
	assert.Equal(t, untrimmed().Labels, object.Labels)
}

func TestTrimSecretKeepsIdentityAndOwnership(t *testing.T) {
	object := trimmed(t, trimSecret)
	want := untrimmed()
	want.Annotations = map[string]string{render.AnnotationApplied: "hash"}
	want.Labels = map[string]string{render.LabelCluster: "demo"}
	want.Finalizers, want.ManagedFields[2].FieldsV1 = nil, nil
	assert.Equal(t, want, object.ObjectMeta)

	foreign := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name:            "x",
		ResourceVersion: "3",
		Labels:          map[string]string{"a": "b"},
		Annotations:     map[string]string{"a": "b"},
		ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}}
	_, err := trimSecret(foreign)
	require.NoError(t, err)
	assert.Equal(t, metav1.ObjectMeta{Name: "x", ResourceVersion: "3"}, foreign.ObjectMeta)
}

func TestTrimIngressClassKeepsTheDefault(t *testing.T) {
	assert.Equal(t, map[string]string{networkingv1.AnnotationIsDefaultIngressClass: "true"},
		trimmed(t, trimIngressClass).Annotations)
}

func TestTrimClusterDropsTheCopyOfTheObject(t *testing.T) {
	object := trimmed(t, trimCluster)
	assert.Len(t, object.Annotations, 4)
	assert.NotContains(t, object.Annotations, corev1.LastAppliedConfigAnnotation)
	assert.NotNil(t, object.ManagedFields[1].FieldsV1)
	assert.Nil(t, object.ManagedFields[2].FieldsV1)
}

func TestTrimLeavesOtherThingsOfAnInformerAlone(t *testing.T) {
	gone := toolscache.DeletedFinalStateUnknown{Key: "team/x"}
	for _, trim := range []toolscache.TransformFunc{trimObject, trimPod, trimSecret, trimIngressClass, trimCluster} {
		object, err := trim(gone)
		require.NoError(t, err)
		assert.Equal(t, gone, object)
	}
}
