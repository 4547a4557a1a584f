package render

import (
	"strings"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// f5NginxPrefix begins the annotations of F5's NGINX Ingress Controller.
const f5NginxPrefix = "nginx.org/"

// f5NginxProfile is for F5's NGINX Ingress Controller. The name of the cookie is a part of the annotation
// sticky-cookie-services, so no annotation names it alone.
func f5NginxProfile() ingressProfile {
	return ingressProfile{
		name:       v1alpha1.IngressProfileF5NGINX,
		controller: "nginx.org/ingress-controller",
		ingress:    f5NginxAnnotations,
		limits:     f5NginxLimits,
		note: "without NGINX Plus, releases of the controller that do not know nginx.org/sticky-cookie-services set no " +
			"cookie: upgrade the controller, or set the annotation nginx.org/lb-method to ip_hash in spec.ingress.annotations",
	}
}

// f5NginxAnnotations returns the annotations that make the controller accept WebSocket connections, keep each client on
// its gateway by a cookie, and leave a connection open that is idle between two pings.
func f5NginxAnnotations(in Input) map[string]string {
	service := GatewayName(in.Name)
	idle := wholeSeconds(in.Spec.Ingress.IdleTimeout) + "s"
	annotations := map[string]string{
		f5NginxPrefix + "websocket-services":     service,
		f5NginxPrefix + "sticky-cookie-services": f5NginxSticky(in, service),
		f5NginxPrefix + "proxy-read-timeout":     idle,
		f5NginxPrefix + "proxy-send-timeout":     idle,
	}
	if in.front().IngressTLS {
		annotations[f5NginxPrefix+"ssl-services"] = service
	}
	return annotations
}

// f5NginxSticky returns the value of sticky-cookie-services.
func f5NginxSticky(in Input, service string) string {
	ingress := in.Spec.Ingress
	parts := []string{"serviceName=" + service, cookieName(in)}
	if age := ingress.Cookie.MaxAge; age != nil {
		parts = append(parts, "expires="+wholeSeconds(age)+"s")
	}
	parts = append(parts, "httponly")
	if cookieSecure(ingress) {
		parts = append(parts, "secure")
	}
	return strings.Join(append(parts, "path="+cookiePath(in)), " ")
}

func f5NginxLimits(in Input) []string {
	if in.Spec.Ingress.Cookie.SameSite == v1alpha1.SameSiteLax {
		return nil
	}
	return []string{"spec.ingress.cookie.sameSite has no effect: browsers take the cookie for Lax"}
}
