package render

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Listener is how gateways take connections.
type Listener struct {
	// TLS is true where they accept only TLS.
	TLS bool
	// Port is the name of their container's public port. A port of the Service has as endpoints only the pods whose
	// container has a port of the name that it targets, so that gateways with and without TLS are kept apart.
	Port string
}

// Front is how the Service and the Ingress reach the gateways.
type Front struct {
	// Listeners has a Service's port for each, at most one with and one without TLS. While a rollout switches TLS on or
	// off, the one that is going comes first.
	Listeners []Listener
	// IngressTLS is whether the Ingress and the HTTPRoute, which reach one kind of gateways only, connect with TLS.
	IngressTLS bool
}

// ListenerOfSpec returns how gateways of the spec take connections.
func ListenerOfSpec(spec v1alpha1.WebSocketClusterSpec) Listener {
	if spec.Gateway.TLS != nil {
		return Listener{TLS: true, Port: contract.PublicTLSPortName}
	}
	return Listener{Port: contract.PublicPortName}
}

// ListenerOfPod returns how the gateway of a pod takes connections. Gateways of earlier releases with TLS have a port
// of the same name as those without.
func ListenerOfPod(pod corev1.PodSpec) Listener {
	listener := Listener{Port: contract.PublicPortName}
	for _, volume := range pod.Volumes {
		if volume.Name == volumeTLS {
			listener.TLS = true
		}
	}
	for _, container := range pod.Containers {
		for _, port := range container.Ports {
			if container.Name == ComponentGateway && port.ContainerPort == contract.PublicPort {
				listener.Port = port.Name
			}
		}
	}
	return listener
}

// front returns Input.Front, or that of the spec for a fleet without gateways.
func (in Input) front() Front {
	if len(in.Front.Listeners) > 0 {
		return in.Front
	}
	listener := ListenerOfSpec(in.Spec)
	return Front{Listeners: []Listener{listener}, IngressTLS: listener.TLS}
}

// servicePortName returns the name of the Service's port for gateways with or without TLS.
func servicePortName(tls bool) string {
	if tls {
		return contract.PublicTLSPortName
	}
	return contract.PublicPortName
}
