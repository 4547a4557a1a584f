package render

import (
	"maps"
	"math"
	"strconv"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	networkingac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

const (
	nginxPrefix           = "nginx.ingress.kubernetes.io/"
	nginxCookieAnnotation = nginxPrefix + "session-cookie-name"
	nginxPathAnnotation   = nginxPrefix + "session-cookie-path"
)

// gatewayIngress leads clients from outside to the gateways.
func gatewayIngress(in Input) (any, error) {
	wanted := in.Spec.Ingress
	if wanted == nil {
		return nil, nil
	}
	spec := networkingac.IngressSpec().WithRules(ingressRules(in)...)
	if wanted.ClassName != nil {
		spec.WithIngressClassName(*wanted.ClassName)
	}
	for _, tls := range wanted.TLS {
		entry := networkingac.IngressTLS().WithHosts(tls.Hosts...)
		if tls.SecretName != "" {
			entry.WithSecretName(tls.SecretName)
		}
		spec.WithTLS(entry)
	}
	return networkingac.Ingress(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithAnnotations(ingressAnnotations(in)).
		WithOwnerReferences(in.owner()).
		WithSpec(spec), nil
}

func ingressRules(in Input) []*networkingac.IngressRuleApplyConfiguration {
	rule := func() *networkingac.IngressRuleApplyConfiguration {
		return networkingac.IngressRule().WithHTTP(networkingac.HTTPIngressRuleValue().
			WithPaths(networkingac.HTTPIngressPath().
				WithPath(in.Spec.Ingress.Path).
				WithPathType(networkingv1.PathTypePrefix).
				WithBackend(networkingac.IngressBackend().
					WithService(networkingac.IngressServiceBackend().
						WithName(GatewayName(in.Name)).
						WithPort(networkingac.ServiceBackendPort().WithName(contract.PublicPortName))))))
	}
	if len(in.Spec.Ingress.Hosts) == 0 {
		return []*networkingac.IngressRuleApplyConfiguration{rule()}
	}
	var rules []*networkingac.IngressRuleApplyConfiguration
	for _, host := range in.Spec.Ingress.Hosts {
		rules = append(rules, rule().WithHost(host))
	}
	return rules
}

// ingressAnnotations are the profile's, and over them the user's.
func ingressAnnotations(in Input) map[string]string {
	annotations := map[string]string{}
	if in.Profile == v1alpha1.IngressProfileNginx {
		maps.Copy(annotations, nginxAnnotations(in))
	}
	maps.Copy(annotations, in.Spec.Ingress.Annotations)
	return annotations
}

// nginxAnnotations make ingress-nginx stick a client to its gateway by cookie and leave an idle
// connection alone between two pings.
func nginxAnnotations(in Input) map[string]string {
	wanted := in.Spec.Ingress
	idle := wholeSeconds(wanted.IdleTimeout)
	annotations := map[string]string{
		nginxPrefix + "affinity":                         "cookie",
		nginxPrefix + "affinity-mode":                    "persistent",
		nginxCookieAnnotation:                            cookieName(in),
		nginxPathAnnotation:                              cookiePath(in),
		nginxPrefix + "session-cookie-samesite":          string(wanted.Cookie.SameSite),
		nginxPrefix + "session-cookie-secure":            strconv.FormatBool(cookieSecure(wanted)),
		nginxPrefix + "session-cookie-change-on-failure": "true",
		nginxPrefix + "proxy-read-timeout":               idle,
		nginxPrefix + "proxy-send-timeout":               idle,
	}
	if in.Spec.Gateway.TLS != nil {
		annotations[nginxPrefix+"backend-protocol"] = "HTTPS"
	}
	if age := wanted.Cookie.MaxAge; age != nil {
		seconds := wholeSeconds(age)
		annotations[nginxPrefix+"session-cookie-max-age"] = seconds
		annotations[nginxPrefix+"session-cookie-expires"] = seconds
	}
	return annotations
}

// wholeSeconds rounds up: a timeout that is cut short may be over before the next ping.
func wholeSeconds(duration *metav1.Duration) string {
	return strconv.FormatFloat(math.Ceil(duration.Seconds()), 'f', 0, 64)
}

// cookieName is the affinity cookie's. The gateway needs the one that is really used, so an
// annotation of the user's counts too.
func cookieName(in Input) string {
	if name := in.Spec.Ingress.Annotations[nginxCookieAnnotation]; name != "" {
		return name
	}
	if name := in.Spec.Ingress.Cookie.Name; name != "" {
		return name
	}
	return "wsc-" + shortHash(in.Namespace+"/"+in.Name)
}

func cookiePath(in Input) string {
	if path := in.Spec.Ingress.Annotations[nginxPathAnnotation]; path != "" {
		return path
	}
	return in.Spec.Ingress.Path
}

func cookieSecure(ingress *v1alpha1.IngressSpec) bool {
	if ingress.Cookie.Secure != nil {
		return *ingress.Cookie.Secure
	}
	return len(ingress.TLS) > 0
}
