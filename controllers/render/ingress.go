package render

import (
	"maps"

	networkingv1 "k8s.io/api/networking/v1"
	networkingac "k8s.io/client-go/applyconfigurations/networking/v1"
)

// gatewayIngress routes clients outside the cluster to the gateways. It returns nil where the spec has no ingress.
func gatewayIngress(in Input) (any, error) {
	ingress := in.Spec.Ingress
	if ingress == nil {
		return nil, nil
	}
	spec := networkingac.IngressSpec().WithRules(ingressRules(in)...)
	if ingress.ClassName != nil {
		spec.WithIngressClassName(*ingress.ClassName)
	}
	for _, tls := range ingress.TLS {
		entry := networkingac.IngressTLS().WithHosts(tls.Hosts...)
		if tls.SecretName != "" {
			entry.WithSecretName(tls.SecretName)
		}
		spec.WithTLS(entry)
	}
	annotations := map[string]string{}
	maps.Copy(annotations, ingressProfileAnnotations(in))
	maps.Copy(annotations, ingress.Annotations)
	return networkingac.Ingress(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithAnnotations(annotations).
		WithOwnerReferences(in.owner()).
		WithSpec(spec), nil
}

// ingressRules returns a rule for each host, or one rule for every host where the spec names none.
func ingressRules(in Input) []*networkingac.IngressRuleApplyConfiguration {
	rule := func() *networkingac.IngressRuleApplyConfiguration {
		return networkingac.IngressRule().WithHTTP(networkingac.HTTPIngressRuleValue().
			WithPaths(networkingac.HTTPIngressPath().
				WithPath(in.Spec.Ingress.Path).
				WithPathType(networkingv1.PathTypePrefix).
				WithBackend(networkingac.IngressBackend().
					WithService(networkingac.IngressServiceBackend().
						WithName(GatewayName(in.Name)).
						WithPort(networkingac.ServiceBackendPort().WithName(servicePortName(in.front().IngressTLS)))))))
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
