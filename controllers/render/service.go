package render

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/wsfleet/wsfleet/gateway/contract"
)

// ServicePort is where clients inside the cluster and load balancers connect.
const ServicePort = 80

// appProtocol tells proxies that long-lived upgrades come.
const appProtocol = "kubernetes.io/ws"

// gatewayService keeps each client address on its gateway.
func gatewayService(in Input) (any, error) {
	wanted := in.Spec.Service
	spec := coreac.ServiceSpec().
		WithType(wanted.Type).
		WithSelector(SelectorLabels(in.Name, ComponentGateway)).
		WithSessionAffinity(corev1.ServiceAffinityClientIP).
		WithSessionAffinityConfig(coreac.SessionAffinityConfig().
			WithClientIP(coreac.ClientIPConfig().WithTimeoutSeconds(*wanted.ClientIPTimeoutSeconds))).
		WithPorts(coreac.ServicePort().
			WithName(contract.PublicPortName).
			WithProtocol(corev1.ProtocolTCP).
			WithPort(ServicePort).
			WithTargetPort(intstr.FromString(contract.PublicPortName)).
			WithAppProtocol(appProtocol))
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
