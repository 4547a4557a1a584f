package render

import (
	"math"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// ingressProfile says how one ingress controller is told to keep each client on its gateway and to leave idle
// connections open.
type ingressProfile struct {
	// name is the profile's value in spec.ingress.profile.
	name v1alpha1.IngressProfile
	// controller is the spec.controller of the IngressClasses that the profile is for.
	controller string
	// annotations returns what the Ingress needs. The user's annotations win over it.
	annotations func(Input) map[string]string
	// cookieNameAnnotation and cookiePathAnnotation are the annotations that name the affinity cookie and its path.
	// They are empty where the controller has no such annotation.
	cookieNameAnnotation string
	cookiePathAnnotation string
}

// ingressProfiles returns every profile besides Auto and none. A profile's annotations are in a file of its own.
func ingressProfiles() []ingressProfile {
	return []ingressProfile{nginxProfile()}
}

// ProfileForController returns the profile that Auto stands for with an IngressClass of this controller. It returns
// none for a controller without a profile.
func ProfileForController(controller string) v1alpha1.IngressProfile {
	for _, profile := range ingressProfiles() {
		if profile.controller == controller {
			return profile.name
		}
	}
	return v1alpha1.IngressProfileNone
}

// profileAnnotations returns the annotations of the profile in use, or nil where none is.
func profileAnnotations(in Input) map[string]string {
	for _, profile := range ingressProfiles() {
		if profile.name == in.Profile {
			return profile.annotations(in)
		}
	}
	return nil
}

// cookieName returns the name of the affinity cookie that clients really have: one of the user's annotations wins
// over the spec's field, and that over the default.
func cookieName(in Input) string {
	for _, profile := range ingressProfiles() {
		if name := in.Spec.Ingress.Annotations[profile.cookieNameAnnotation]; name != "" {
			return name
		}
	}
	if name := in.Spec.Ingress.Cookie.Name; name != "" {
		return name
	}
	return "wsc-" + shortHash(in.Namespace+"/"+in.Name)
}

// cookiePath returns the path of the affinity cookie. One of the user's annotations wins over the Ingress' path.
func cookiePath(in Input) string {
	for _, profile := range ingressProfiles() {
		if path := in.Spec.Ingress.Annotations[profile.cookiePathAnnotation]; path != "" {
			return path
		}
	}
	return in.Spec.Ingress.Path
}

// cookieSecure reports whether browsers send the affinity cookie over TLS only.
func cookieSecure(ingress *v1alpha1.IngressSpec) bool {
	if ingress.Cookie.Secure != nil {
		return *ingress.Cookie.Secure
	}
	return len(ingress.TLS) > 0
}

// wholeSeconds returns the duration in seconds, rounded up: a timeout that is rounded down may end before the next
// ping.
func wholeSeconds(duration *metav1.Duration) string {
	return strconv.FormatFloat(math.Ceil(duration.Seconds()), 'f', 0, 64)
}
