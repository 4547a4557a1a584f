package controllers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

func TestIsOwned(t *testing.T) {
	cluster := &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo", UID: "1"}}
	ownedBy := func(uid types.UID) []metav1.OwnerReference {
		return []metav1.OwnerReference{{
			Kind:       "WebSocketCluster",
			Name:       "demo",
			UID:        uid,
			Controller: new(true),
		}}
	}
	owner, other := ownedBy("1"), ownedBy("2")
	byUs := []metav1.ManagedFieldsEntry{{Manager: render.FieldOwner, Operation: metav1.ManagedFieldsOperationApply}}
	byOther := []metav1.ManagedFieldsEntry{{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply}}
	hash := map[string]string{render.AnnotationApplied: "x"}

	for _, c := range []struct {
		name   string
		object metav1.ObjectMeta
		want   bool
	}{
		{"owned", metav1.ObjectMeta{OwnerReferences: owner}, true},
		{"another cluster's", metav1.ObjectMeta{OwnerReferences: other, Annotations: hash, ManagedFields: byUs}, false},
		{"without an owner", metav1.ObjectMeta{}, false},
		{"lost its owner", metav1.ObjectMeta{Annotations: hash, ManagedFields: byUs}, true},
		{"a copy of an owned one", metav1.ObjectMeta{Annotations: hash, ManagedFields: byOther}, false},
		{"without the annotation", metav1.ObjectMeta{ManagedFields: byUs}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, isOwned(&c.object, cluster))
		})
	}
}
