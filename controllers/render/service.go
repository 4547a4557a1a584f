package render

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/wsfleet/wsfleet/internal/contract"
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
	port, protocol := int32(plainPort), plainProtocol
	if in.Spec.Gateway.TLS != nil {
		port, protocol = tlsPort, tlsProtocol
	}
	spec := coreac.ServiceSpec().
		WithType(service.Type).
		WithSelector(SelectorLabels(in.Name, ComponentGateway)).
		WithSessionAffinity(corev1.ServiceAffinityClientIP).
		WithSessionAffinityConfig(coreac.SessionAffinityConfig().
			WithClientIP(coreac.ClientIPConfig().WithTimeoutSeconds(*service.ClientIPTimeoutSeconds))).
		WithPorts(coreac.ServicePort().
			WithName(contract.PublicPortName).
			WithProtocol(corev1.ProtocolTCP).
			WithPort(port).
			WithTargetPort(intstr.FromString(contract.PublicPortName)).
			WithAppProtocol(protocol))
	if service.ExternalTrafficPolicy != "" {
		spec.WithExternalTrafficPolicy(service.ExternalTrafficPolicy)
	}
	if service.LoadBalancerClass != nil {
		spec.WithLoadBalancerClass(*service.LoadBalancerClass)
	}
	return coreac.Service(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithAnnotations(service.Annotations).
		WithOwnerReferences(in.owner()).
		WithSpec(spec), nil
}
