package controllers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

func TestIsOurs(t *testing.T) {
	cluster := &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo", UID: "1"}}
	owner := []metav1.OwnerReference{{Kind: "WebSocketCluster", Name: "demo", UID: "1", Controller: new(true)}}
	other := []metav1.OwnerReference{{Kind: "WebSocketCluster", Name: "demo", UID: "2", Controller: new(true)}}
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
		{"nobody's", metav1.ObjectMeta{}, false},
		{"lost its owner", metav1.ObjectMeta{Annotations: hash, ManagedFields: byUs}, true},
		{"a copy of ours", metav1.ObjectMeta{Annotations: hash, ManagedFields: byOther}, false},
		{"applied for something else", metav1.ObjectMeta{ManagedFields: byUs}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, isOurs(&c.object, cluster))
		})
	}
}
