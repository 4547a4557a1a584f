package controllers

import (
	"context"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

// ingressClass looks up the IngressClass of the cluster's Ingress. The result is empty without an Ingress. It returns
// an error when the IngressClasses cannot be listed.
func (r *Reconciler) ingressClass(
	ctx context.Context, ingress *v1alpha1.IngressSpec,
) (status.IngressClass, error) {
	if ingress == nil {
		return status.IngressClass{}, nil
	}
	classes, read, err := r.scope.ingressClasses(ctx)
	if err != nil {
		return status.IngressClass{}, err
	}
	resolved := resolveIngressClass(ingress, classes)
	resolved.Unread = !read
	return resolved, nil
}

// resolveIngressClass finds the class by its name, or the default class when ingress names none, and chooses the
// profile for its controller.
func resolveIngressClass(ingress *v1alpha1.IngressSpec, classes []networkingv1.IngressClass) status.IngressClass {
	resolved := status.IngressClass{Profile: ingress.Profile}
	var class *networkingv1.IngressClass
	for i := range classes {
		one := &classes[i]
		switch {
		case ingress.ClassName != nil && one.Name == *ingress.ClassName,
			ingress.ClassName == nil && isDefault(one) && (class == nil || preferred(one, class)):
			class = one
		}
	}
	if class != nil {
		resolved.Found, resolved.Controller = true, class.Spec.Controller
	}
	if ingress.Profile == v1alpha1.IngressProfileAuto {
		resolved.Profile = render.ProfileForController(resolved.Controller)
	}
	return resolved
}

// preferred reports whether the API server would choose a over b when both are default classes: it chooses the newer
// one, or the one whose name sorts first. The result must not depend on the order of a list, or the Ingress would
// change with it.
func preferred(a, b *networkingv1.IngressClass) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.Name < b.Name
	}
	return b.CreationTimestamp.Before(&a.CreationTimestamp)
}

func isDefault(class *networkingv1.IngressClass) bool {
	return class.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true"
}
