package render

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// albPrefix begins every annotation of the AWS Load Balancer Controller.
const albPrefix = "alb.ingress.kubernetes.io/"

// The bounds of an Application Load Balancer, in seconds.
const (
	albMaxIdleTimeout         = 4_000
	albMaxDeregistrationDelay = 3_600
	albMaxStickiness          = 604_800
	// albStickiness is its default duration of stickiness.
	albStickiness = 86_400
)

// albProfile is for the Application Load Balancers of the AWS Load Balancer Controller, which name their cookies
// themselves.
func albProfile() ingressProfile {
	return ingressProfile{
		name:            v1alpha1.IngressProfileALB,
		controller:      "ingress.k8s.aws/alb",
		ingress:         albAnnotations,
		fixedCookieName: "AWSALB",
		limits:          albLimits,
		note: "Ingresses of one alb.ingress.kubernetes.io/group.name share the load balancer, so their " +
			"load-balancer-attributes must agree",
	}
}

// albAnnotations returns the annotations that make a load balancer route straight to the pods, keep each client on its
// gateway by a cookie, leave a connection open that is idle between two pings, and wait for a drain. Its health checks
// accept the answer 404 that gateways give to /; whether a gateway takes clients is up to the pod's readiness.
func albAnnotations(in Input) map[string]string {
	drain := in.Spec.Drain
	annotations := map[string]string{
		albPrefix + "target-type": "ip",
		albPrefix + "target-group-attributes": strings.Join([]string{
			"stickiness.enabled=true",
			"stickiness.type=lb_cookie",
			"stickiness.lb_cookie.duration_seconds=" + albSeconds(albCookieSeconds(in), albMaxStickiness),
			"deregistration_delay.timeout_seconds=" + albSeconds(GracePeriodSeconds(drain), albMaxDeregistrationDelay),
		}, ","),
		albPrefix + "load-balancer-attributes": "idle_timeout.timeout_seconds=" +
			albSeconds(ceilSeconds(in.Spec.Ingress.IdleTimeout), albMaxIdleTimeout),
		albPrefix + "success-codes": "200-499",
	}
	if in.front().IngressTLS {
		annotations[albPrefix+"backend-protocol"] = "HTTPS"
		annotations[albPrefix+"healthcheck-protocol"] = "HTTPS"
	}
	return annotations
}

func albCookieSeconds(in Input) int64 {
	if age := in.Spec.Ingress.Cookie.MaxAge; age != nil {
		return ceilSeconds(age)
	}
	return albStickiness
}

// albSeconds returns the seconds, or the bound where they are more.
func albSeconds(seconds, bound int64) string { return strconv.FormatInt(min(seconds, bound), 10) }

func albLimits(in Input) []string {
	ingress := in.Spec.Ingress
	var limits []string
	bounded := func(field string, seconds, bound int64) {
		if seconds > bound {
			limits = append(limits,
				fmt.Sprintf("%s counts as %d s, the maximum of an Application Load Balancer: lower it", field,
					bound))
		}
	}
	bounded("spec.ingress.idleTimeout", ceilSeconds(ingress.IdleTimeout), albMaxIdleTimeout)
	bounded("spec.ingress.cookie.maxAge", albCookieSeconds(in), albMaxStickiness)
	bounded("spec.drain.timeout", GracePeriodSeconds(in.Spec.Drain), albMaxDeregistrationDelay)
	if ingress.Cookie.Name != "" {
		limits = append(limits, "spec.ingress.cookie.name has no effect: the load balancer names its cookie itself")
	}
	if len(ingress.TLS) > 0 {
		limits = append(limits, "the load balancer does not read the Secrets of spec.ingress.tls: name a certificate of "+
			"AWS Certificate Manager in the annotation "+albPrefix+"certificate-arn of spec.ingress.annotations")
	}
	return limits
}
