package render

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
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
	spec := coreac.ServiceSpec().
		WithType(service.Type).
		WithSelector(SelectorLabels(in.Name, ComponentGateway)).
		WithSessionAffinity(corev1.ServiceAffinityClientIP).
		WithSessionAffinityConfig(coreac.SessionAffinityConfig().
			WithClientIP(coreac.ClientIPConfig().WithTimeoutSeconds(*service.ClientIPTimeoutSeconds))).
		WithPorts(servicePort(in.Spec)).
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

// servicePort returns the port of the Service.
func servicePort(spec v1alpha1.WebSocketClusterSpec) *coreac.ServicePortApplyConfiguration {
	port := gatewayPort(spec)
	if spec.Service.NodePort != nil {
		port.WithNodePort(*spec.Service.NodePort)
	}
	return port
}

// gatewayPort returns the port of every Service in front of the gateways.
func gatewayPort(spec v1alpha1.WebSocketClusterSpec) *coreac.ServicePortApplyConfiguration {
	port, protocol := int32(plainPort), plainProtocol
	if spec.Gateway.TLS != nil {
		port, protocol = tlsPort, tlsProtocol
	}
	return coreac.ServicePort().
		WithName(contract.PublicPortName).
		WithProtocol(corev1.ProtocolTCP).
		WithPort(port).
		WithTargetPort(intstr.FromString(contract.PublicPortName)).
		WithAppProtocol(protocol)
}
