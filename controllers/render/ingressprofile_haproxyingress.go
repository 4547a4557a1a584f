package render

import (
	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// haproxyIngressPrefix begins every annotation of the community's haproxy-ingress.
const haproxyIngressPrefix = "haproxy-ingress.github.io/"

// haproxyIngressProfile is for the community's haproxy-ingress. Its cookie has the path /.
func haproxyIngressProfile() ingressProfile {
	return ingressProfile{
		name:                 v1alpha1.IngressProfileHAProxyIngress,
		controller:           "haproxy-ingress.github.io/controller",
		ingress:              haproxyIngressAnnotations,
		cookieNameAnnotation: haproxyIngressPrefix + "session-cookie-name",
		fixedCookiePath:      "/",
		limits:               haproxyIngressLimits,
		note: "haproxy-ingress closes every connection timeout-stop after it reloads its configuration, 10m by " +
			"default: raise it in the controller's ConfigMap",
	}
}

// haproxyIngressAnnotations returns the annotations that make haproxy-ingress keep each client on its gateway by a
// cookie and leave a connection open that is idle between two pings.
func haproxyIngressAnnotations(in Input) map[string]string {
	ingress := in.Spec.Ingress
	annotations := map[string]string{
		haproxyIngressPrefix + "affinity":            "cookie",
		haproxyIngressPrefix + "session-cookie-name": cookieName(in),
		haproxyIngressPrefix + "timeout-tunnel":      wholeSeconds(ingress.IdleTimeout) + "s",
	}
	switch {
	case ingress.Cookie.SameSite == v1alpha1.SameSiteNone:
		// It sets Secure as well.
		annotations[haproxyIngressPrefix+"session-cookie-same-site"] = "true"
	case cookieSecure(ingress):
		annotations[haproxyIngressPrefix+"session-cookie-keywords"] = "indirect nocache httponly secure"
	}
	if in.front().IngressTLS {
		annotations[haproxyIngressPrefix+"secure-backends"] = "true"
	}
	return annotations
}

func haproxyIngressLimits(in Input) []string {
	cookie := in.Spec.Ingress.Cookie
	var limits []string
	if cookie.MaxAge != nil {
		limits = append(limits, "spec.ingress.cookie.maxAge has no effect: the cookie ends with the browser's session")
	}
	if cookie.SameSite == v1alpha1.SameSiteStrict {
		limits = append(limits, "spec.ingress.cookie.sameSite has no effect: browsers take the cookie for Lax")
	}
	return limits
}
