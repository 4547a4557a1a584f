package render

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
)

// The ports of the Service: the default ports of ws and wss URLs.
const (
	plainPort = 80
	tlsPort   = 443
)

// Values of appProtocol, which tell proxies to expect WebSocket connections.
const (
	plainProtocol = "kubernetes.io/ws"
	tlsProtocol   = "kubernetes.io/wss"
)

// gatewayService returns the Service in front of the gateways. Its ClientIP affinity keeps each client address on one
// gateway.
func gatewayService(in Input) (any, error) {
	service := in.Spec.Service
	spec := coreac.ServiceSpec().
		WithType(service.Type).
		WithSelector(SelectorLabels(in.Name, ComponentGateway)).
		WithSessionAffinity(corev1.ServiceAffinityClientIP).
		WithSessionAffinityConfig(coreac.SessionAffinityConfig().
			WithClientIP(coreac.ClientIPConfig().WithTimeoutSeconds(*service.ClientIPTimeoutSeconds))).
		WithPorts(servicePorts(in)...).
		WithIPFamilies(service.IPFamilies...).
		WithLoadBalancerSourceRanges(service.LoadBalancerSourceRanges...)
	if service.ExternalTrafficPolicy != "" {
		spec.WithExternalTrafficPolicy(service.ExternalTrafficPolicy)
	}
	if service.TrafficDistribution != "" {
		spec.WithTrafficDistribution(service.TrafficDistribution)
	}
	if service.IPFamilyPolicy != "" {
		spec.WithIPFamilyPolicy(service.IPFamilyPolicy)
	}
	if service.LoadBalancerClass != nil {
		spec.WithLoadBalancerClass(*service.LoadBalancerClass)
	}
	annotations := map[string]string{}
	maps.Copy(annotations, serviceProfileAnnotations(in))
	maps.Copy(annotations, service.Annotations)
	return coreac.Service(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithAnnotations(annotations).
		WithOwnerReferences(in.owner()).
		WithSpec(spec), nil
}

// servicePorts returns the ports of the Service. A node port that the spec names belongs to the first one: it cannot
// move from one port to another in one update.
func servicePorts(in Input) []*coreac.ServicePortApplyConfiguration {
	ports := gatewayPorts(in)
	if in.Spec.Service.NodePort != nil {
		ports[0].WithNodePort(*in.Spec.Service.NodePort)
	}
	return ports
}

// gatewayPorts returns the ports of every Service in front of the gateways, one for each kind of gateways that exists.
func gatewayPorts(in Input) []*coreac.ServicePortApplyConfiguration {
	listeners := in.front().Listeners
	ports := make([]*coreac.ServicePortApplyConfiguration, 0, len(listeners))
	for _, listener := range listeners {
		protocol := plainProtocol
		if listener.TLS {
			protocol = tlsProtocol
		}
		ports = append(ports, coreac.ServicePort().
			WithName(servicePortName(listener.TLS)).
			WithProtocol(corev1.ProtocolTCP).
			WithPort(servicePort(listener.TLS)).
			WithTargetPort(intstr.FromString(listener.Port)).
			WithAppProtocol(protocol))
	}
	return ports
}

// servicePort returns the number of the Service's port for gateways with or without TLS.
func servicePort(tls bool) int32 {
	if tls {
		return tlsPort
	}
	return plainPort
}

// IsTLSPort reports whether the gateways behind a port of the Service accept only TLS.
func IsTLSPort(port corev1.ServicePort) bool {
	return port.AppProtocol != nil && *port.AppProtocol == tlsProtocol
}
