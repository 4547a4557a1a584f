package render

import (
	"strconv"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// nginxPrefix begins every annotation of ingress-nginx.
const nginxPrefix = "nginx.ingress.kubernetes.io/"

// nginxProfile is for ingress-nginx.
func nginxProfile() ingressProfile {
	return ingressProfile{
		name:                 v1alpha1.IngressProfileNginx,
		controller:           "k8s.io/ingress-nginx",
		ingress:              nginxAnnotations,
		cookieNameAnnotation: nginxPrefix + "session-cookie-name",
		cookiePathAnnotation: nginxPrefix + "session-cookie-path",
		note: "ingress-nginx closes every connection worker-shutdown-timeout after it reloads its configuration, " +
			"240s by default: raise it in the controller's ConfigMap",
	}
}

// nginxAnnotations returns the annotations that make ingress-nginx keep each client on its gateway by a cookie and
// leave a connection open that is idle between two pings.
func nginxAnnotations(in Input) map[string]string {
	ingress := in.Spec.Ingress
	idle := wholeSeconds(ingress.IdleTimeout)
	annotations := map[string]string{
		nginxPrefix + "affinity":                         "cookie",
		nginxPrefix + "affinity-mode":                    "persistent",
		nginxPrefix + "session-cookie-name":              cookieName(in),
		nginxPrefix + "session-cookie-path":              cookiePath(in),
		nginxPrefix + "session-cookie-samesite":          string(ingress.Cookie.SameSite),
		nginxPrefix + "session-cookie-secure":            strconv.FormatBool(cookieSecure(ingress)),
		nginxPrefix + "session-cookie-change-on-failure": "true",
		nginxPrefix + "proxy-read-timeout":               idle,
		nginxPrefix + "proxy-send-timeout":               idle,
	}
	if in.front().IngressTLS {
		annotations[nginxPrefix+"backend-protocol"] = "HTTPS"
	}
	if age := ingress.Cookie.MaxAge; age != nil {
		seconds := wholeSeconds(age)
		annotations[nginxPrefix+"session-cookie-max-age"] = seconds
		annotations[nginxPrefix+"session-cookie-expires"] = seconds
	}
	return annotations
}
