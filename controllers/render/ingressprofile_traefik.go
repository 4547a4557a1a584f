package render

import (
	"strconv"
	"strings"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// traefikPrefix begins every annotation of a Service that Traefik reads.
const traefikPrefix = "traefik.ingress.kubernetes.io/service."

// traefikProfile is for Traefik. It has no timeout for idle WebSocket connections.
func traefikProfile() ingressProfile {
	return ingressProfile{
		name:                 v1alpha1.IngressProfileTraefik,
		controller:           "traefik.io/ingress-controller",
		service:              traefikAnnotations,
		cookieNameAnnotation: traefikPrefix + "sticky.cookie.name",
		cookiePathAnnotation: traefikPrefix + "sticky.cookie.path",
		cookieOnService:      true,
		limits:               traefikLimits,
		note:                 "Traefik closes no idle connection, so spec.ingress.idleTimeout is not needed",
	}
}

// traefikAnnotations returns the annotations that make Traefik keep each client on its gateway by a cookie.
func traefikAnnotations(in Input) map[string]string {
	ingress := in.Spec.Ingress
	annotations := map[string]string{
		traefikPrefix + "sticky.cookie":          "true",
		traefikPrefix + "sticky.cookie.name":     cookieName(in),
		traefikPrefix + "sticky.cookie.path":     cookiePath(in),
		traefikPrefix + "sticky.cookie.samesite": strings.ToLower(string(ingress.Cookie.SameSite)),
		traefikPrefix + "sticky.cookie.secure":   strconv.FormatBool(cookieSecure(ingress)),
		traefikPrefix + "sticky.cookie.httponly": "true",
	}
	if in.front().IngressTLS {
		annotations[traefikPrefix+"serversscheme"] = "https"
	}
	if age := ingress.Cookie.MaxAge; age != nil {
		annotations[traefikPrefix+"sticky.cookie.maxage"] = wholeSeconds(age)
	}
	return annotations
}

func traefikLimits(in Input) []string {
	if !in.front().IngressTLS || in.Spec.Service.Annotations[traefikPrefix+"serverstransport"] != "" {
		return nil
	}
	return []string{"Traefik refuses the certificate of spec.gateway.tls unless it trusts its issuer: name a " +
		"ServersTransport in the annotation " + traefikPrefix + "serverstransport of spec.service.annotations"}
}
