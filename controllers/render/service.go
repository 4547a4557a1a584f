package render

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Ports where clients inside the cluster and load balancers connect, those that ws and wss mean.
const (
	plainPort = 80
	tlsPort   = 443
)

// Values of appProtocol tell proxies that long-lived upgrades come.
const (
	plainProtocol = "kubernetes.io/ws"
	tlsProtocol   = "kubernetes.io/wss"
)

// gatewayService keeps each client address on its gateway.
func gatewayService(in Input) (any, error) {
	wanted := in.Spec.Service
	port, protocol := int32(plainPort), plainProtocol
	if in.Spec.Gateway.TLS != nil {
		port, protocol = tlsPort, tlsProtocol
	}
	spec := coreac.ServiceSpec().
		WithType(wanted.Type).
		WithSelector(SelectorLabels(in.Name, ComponentGateway)).
		WithSessionAffinity(corev1.ServiceAffinityClientIP).
		WithSessionAffinityConfig(coreac.SessionAffinityConfig().
			WithClientIP(coreac.ClientIPConfig().WithTimeoutSeconds(*wanted.ClientIPTimeoutSeconds))).
		WithPorts(coreac.ServicePort().
			WithName(contract.PublicPortName).
			WithProtocol(corev1.ProtocolTCP).
			WithPort(port).
			WithTargetPort(intstr.FromString(contract.PublicPortName)).
			WithAppProtocol(protocol))
	if wanted.ExternalTrafficPolicy != "" {
		spec.WithExternalTrafficPolicy(wanted.ExternalTrafficPolicy)
	}
	if wanted.LoadBalancerClass != nil {
		spec.WithLoadBalancerClass(*wanted.LoadBalancerClass)
	}
	return coreac.Service(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithAnnotations(wanted.Annotations).
		WithOwnerReferences(in.owner()).
		WithSpec(spec), nil
}
