package render

import (
	"time"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// haproxyPrefix begins every annotation of HAProxy Technologies' controller.
const haproxyPrefix = "haproxy.org/"

// haproxyTunnelTimeout is the controller's default of timeout-tunnel.
const haproxyTunnelTimeout = time.Hour

// haproxyProfile is for HAProxy Technologies' ingress controller. Its cookie has the path / and no other attribute, and
// the timeout of WebSocket connections is a setting of the whole controller.
func haproxyProfile() ingressProfile {
	return ingressProfile{
		name:                 v1alpha1.IngressProfileHAProxy,
		controller:           "haproxy.org/ingress-controller",
		service:              haproxyAnnotations,
		cookieNameAnnotation: haproxyPrefix + "cookie-persistence",
		cookieOnService:      true,
		fixedCookiePath:      "/",
		limits:               haproxyLimits,
		note: "HAProxy closes every connection hard-stop-after after it reloads its configuration, 30m by default: " +
			"raise it in the controller's ConfigMap",
	}
}

// haproxyAnnotations returns the annotations that make HAProxy keep each client on its gateway by a cookie.
func haproxyAnnotations(in Input) map[string]string {
	annotations := map[string]string{haproxyPrefix + "cookie-persistence": cookieName(in)}
	if in.front().IngressTLS {
		annotations[haproxyPrefix+"server-ssl"] = "true"
	}
	return annotations
}

func haproxyLimits(in Input) []string {
	ingress := in.Spec.Ingress
	var limits []string
	if ingress.IdleTimeout.Duration != haproxyTunnelTimeout {
		limits = append(limits, "spec.ingress.idleTimeout has no effect: set timeout-tunnel in the controller's ConfigMap, "+
			"which is 1h by default")
	}
	return append(limits, plainCookieLimits(ingress.Cookie)...)
}

// plainCookieLimits returns the attributes of the cookie that the spec sets and a controller without any cannot give.
func plainCookieLimits(cookie v1alpha1.CookieSpec) []string {
	var limits []string
	if cookie.MaxAge != nil {
		limits = append(limits, "spec.ingress.cookie.maxAge has no effect: the cookie ends with the browser's session")
	}
	if cookie.SameSite != v1alpha1.SameSiteLax {
		limits = append(limits, "spec.ingress.cookie.sameSite has no effect: browsers take the cookie for Lax")
	}
	if cookie.Secure != nil && *cookie.Secure {
		limits = append(limits, "spec.ingress.cookie.secure has no effect: browsers send the cookie without TLS too")
	}
	return limits
}
