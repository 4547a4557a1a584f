package controllers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/status"
)

var markedDefault = map[string]string{networkingv1.AnnotationIsDefaultIngressClass: "true"}

func TestResolveIngressClass(t *testing.T) {
	const controllerIngressNginx = "k8s.io/ingress-nginx"
	classes := []networkingv1.IngressClass{
		{
			ObjectMeta: metav1.ObjectMeta{Name: "other", Annotations: markedDefault},
			Spec:       networkingv1.IngressClassSpec{Controller: "example.com/other"},
		},
		{
			ObjectMeta: metav1.ObjectMeta{Name: "nginx"},
			Spec:       networkingv1.IngressClassSpec{Controller: controllerIngressNginx},
		},
	}
	for _, c := range []struct {
		name    string
		ingress v1alpha1.IngressSpec
		classes []networkingv1.IngressClass
		want    status.IngressClass
	}{
		{"by name", v1alpha1.IngressSpec{ClassName: new("nginx"), Profile: v1alpha1.IngressProfileAuto}, classes,
			status.IngressClass{Found: true, Controller: controllerIngressNginx, Profile: v1alpha1.IngressProfileNginx}},
		{"the default", v1alpha1.IngressSpec{Profile: v1alpha1.IngressProfileAuto}, classes,
			status.IngressClass{Found: true, Controller: "example.com/other", Profile: v1alpha1.IngressProfileNone}},
		{"no default", v1alpha1.IngressSpec{Profile: v1alpha1.IngressProfileAuto}, classes[1:],
			status.IngressClass{Profile: v1alpha1.IngressProfileNone}},
		{"missing", v1alpha1.IngressSpec{ClassName: new("x"), Profile: v1alpha1.IngressProfileAuto}, classes,
			status.IngressClass{Profile: v1alpha1.IngressProfileNone}},
		{"chosen by hand", v1alpha1.IngressSpec{ClassName: new("other"), Profile: v1alpha1.IngressProfileNginx}, classes,
			status.IngressClass{Found: true, Controller: "example.com/other", Profile: v1alpha1.IngressProfileNginx}},
		{"none by hand", v1alpha1.IngressSpec{ClassName: new("nginx"), Profile: v1alpha1.IngressProfileNone}, classes,
			status.IngressClass{Found: true, Controller: controllerIngressNginx, Profile: v1alpha1.IngressProfileNone}},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, resolveIngressClass(&c.ingress, c.classes))
		})
	}
}

// The cache lists in any order. An Ingress whose profile depended on the order would be written again and again.
func TestResolveIngressClassOfSeveralDefaults(t *testing.T) {
	class := func(name string, made int64) networkingv1.IngressClass {
		return networkingv1.IngressClass{
			ObjectMeta: metav1.ObjectMeta{
				Name:              name,
				CreationTimestamp: metav1.Unix(made, 0),
				Annotations:       markedDefault,
			},
			Spec: networkingv1.IngressClassSpec{Controller: "example.com/" + name},
		}
	}
	for _, c := range []struct {
		name    string
		classes []networkingv1.IngressClass
		want    string
	}{
		{"the newer one", []networkingv1.IngressClass{class("a", 1), class("b", 2), class("c", 1)}, "example.com/b"},
		{"equally old", []networkingv1.IngressClass{class("b", 1), class("a", 1), class("c", 1)}, "example.com/a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range c.classes {
				c.classes = append(c.classes[1:], c.classes[0])
				assert.Equal(t, c.want, resolveIngressClass(&v1alpha1.IngressSpec{}, c.classes).Controller)
			}
		})
	}
}
