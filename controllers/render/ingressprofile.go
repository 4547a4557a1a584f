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
	// ingress and service return the annotations of the Ingress and of the Service. The user's annotations win over
	// them. They are nil where the controller reads none there.
	ingress, service func(Input) map[string]string
	// cookieNameAnnotation and cookiePathAnnotation are the annotations that name the affinity cookie and its path.
	// They are empty where the controller has no such annotation.
	cookieNameAnnotation string
	cookiePathAnnotation string
	// cookieOnService reports whether the controller reads these two from the Service and not from the Ingress.
	cookieOnService bool
	// fixedCookieName and fixedCookiePath are those of a controller that chooses them itself.
	fixedCookieName string
	fixedCookiePath string
	// limits returns what the spec asks for and the controller cannot do, each as a clause that names the field.
	limits func(Input) []string
	// note is what the user of every fleet with this profile has to know, as a clause.
	note string
}

// ingressProfiles returns every profile besides Auto and none. Each is in a file of its own.
func ingressProfiles() []ingressProfile {
	return []ingressProfile{
		nginxProfile(),
		traefikProfile(),
		haproxyProfile(),
		haproxyIngressProfile(),
		albProfile(),
		f5NginxProfile(),
	}
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

// profileNamed returns the profile of the name. The result of another name, such as none, has no annotations.
func profileNamed(name v1alpha1.IngressProfile) ingressProfile {
	for _, profile := range ingressProfiles() {
		if profile.name == name {
			return profile
		}
	}
	return ingressProfile{}
}

// ingressProfileAnnotations returns the Ingress' annotations of the profile in use, or nil where it has none.
func ingressProfileAnnotations(in Input) map[string]string {
	if annotations := profileNamed(in.Profile).ingress; annotations != nil {
		return annotations(in)
	}
	return nil
}

// serviceProfileAnnotations returns the Service's annotations of the profile in use, or nil where it has none. A
// Service without an Ingress gets none.
func serviceProfileAnnotations(in Input) map[string]string {
	if annotations := profileNamed(in.Profile).service; annotations != nil && in.Spec.Ingress != nil {
		return annotations(in)
	}
	return nil
}

// ProfileEffect is what an ingress profile makes of the spec.
type ProfileEffect struct {
	// Cookie is the name of the affinity cookie that clients really have.
	Cookie string
	// Limits are what the spec asks for and the controller cannot do, each as a clause that names the field.
	Limits []string
	// Note is what the user of every fleet with the profile has to know, as a clause. It may be empty.
	Note string
}

// EffectOfProfile returns what the profile in use makes of the spec, which has an ingress.
func EffectOfProfile(in Input) ProfileEffect {
	profile := profileNamed(in.Profile)
	effect := ProfileEffect{Cookie: cookieName(in), Note: profile.note}
	if profile.fixedCookieName != "" {
		effect.Cookie = profile.fixedCookieName
	}
	if profile.limits != nil {
		effect.Limits = profile.limits(in)
	}
	return effect
}

// cookieName returns the name of the affinity cookie that clients really have, unless the controller chooses it: one of
// the user's annotations wins over the spec's field, and that over the default.
func cookieName(in Input) string {
	for _, profile := range ingressProfiles() {
		if name := cookieAnnotations(in, profile)[profile.cookieNameAnnotation]; name != "" {
			return name
		}
	}
	if name := in.Spec.Ingress.Cookie.Name; name != "" {
		return name
	}
	return defaultCookieName(in)
}

// defaultCookieName returns the name of the affinity cookie where the spec has none.
func defaultCookieName(in Input) string { return "wsc-" + shortHash(in.Namespace+"/"+in.Name) }

// cookiePath returns the path of the affinity cookie. One of the user's annotations wins over the path that the
// profile of the spec always has, and that over the Ingress' path.
func cookiePath(in Input) string {
	for _, profile := range ingressProfiles() {
		if path := cookieAnnotations(in, profile)[profile.cookiePathAnnotation]; path != "" {
			return path
		}
	}
	if path := profileNamed(in.Spec.Ingress.Profile).fixedCookiePath; path != "" {
		return path
	}
	return in.Spec.Ingress.Path
}

// cookieAnnotations returns the user's annotations from which the controller of the profile reads the cookie.
func cookieAnnotations(in Input, profile ingressProfile) map[string]string {
	if profile.cookieOnService {
		return in.Spec.Service.Annotations
	}
	return in.Spec.Ingress.Annotations
}

// onlyCookie returns those of the user's annotations that name an affinity cookie or its path, or nil without any.
func onlyCookie(annotations v1alpha1.Annotations) v1alpha1.Annotations {
	var named v1alpha1.Annotations
	for _, profile := range ingressProfiles() {
		for _, key := range []string{profile.cookieNameAnnotation, profile.cookiePathAnnotation} {
			if value, found := annotations[key]; found {
				named = merged(named, v1alpha1.Annotations{key: value})
			}
		}
	}
	return named
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
	return strconv.FormatInt(ceilSeconds(duration), 10)
}

func ceilSeconds(duration *metav1.Duration) int64 {
	return int64(math.Ceil(duration.Seconds()))
}
