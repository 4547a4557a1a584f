package status

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

func TestURLs(t *testing.T) {
	const inCluster = "ws://demo-gateway.team.svc/ws"
	tlsPort := corev1.ServicePort{Port: 443, AppProtocol: new("kubernetes.io/wss")}
	gatewayTLS := func(o *Observation) { o.Service.Spec.Ports = []corev1.ServicePort{tlsPort} }
	with := func(edit func(*v1alpha1.IngressSpec)) change { return ingress(edit, IngressClass{Found: true}) }
	for _, c := range []struct {
		name   string
		change change
		want   []string
	}{
		{"Service only", func(*Observation) {}, []string{inCluster}},
		{"no Service", func(o *Observation) { o.Service = nil }, nil},
		{"host", with(func(*v1alpha1.IngressSpec) {}), []string{"ws://ws.example.com/ws", inCluster}},
		{"host with a certificate", with(func(i *v1alpha1.IngressSpec) {
			i.TLS = []v1alpha1.IngressTLS{{Hosts: []string{"ws.example.com"}}}
		}), []string{"wss://ws.example.com/ws", inCluster}},
		{"host under a wildcard certificate", with(func(i *v1alpha1.IngressSpec) {
			i.TLS = []v1alpha1.IngressTLS{{Hosts: []string{"*.example.com"}}}
		}), []string{"wss://ws.example.com/ws", inCluster}},
		{"another host's certificate", with(func(i *v1alpha1.IngressSpec) {
			i.TLS = []v1alpha1.IngressTLS{{Hosts: []string{"*.ws.example.com", "other.example.com"}}}
		}), []string{"ws://ws.example.com/ws", inCluster}},
		{"path of Centrifuge clients", with(func(i *v1alpha1.IngressSpec) { i.Path = "/connection" }),
			[]string{"ws://ws.example.com/connection/websocket", inCluster}},
		{"path of plain clients", with(func(i *v1alpha1.IngressSpec) { i.Path = "/ws" }),
			[]string{"ws://ws.example.com/ws", inCluster}},
		{"path that the controller strips", with(func(i *v1alpha1.IngressSpec) { i.Path = "/chat/" }),
			[]string{"ws://ws.example.com/chat/ws", inCluster}},
		{"every host", func(o *Observation) {
			with(func(i *v1alpha1.IngressSpec) { i.Hosts = nil })(o)
			o.Ingress.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "2001:db8::1"}}
		}, []string{"ws://[2001:db8::1]/ws", inCluster}},
		{"wildcard host", with(func(i *v1alpha1.IngressSpec) { i.Hosts = []string{"*.example.com", "ws.example.com"} }),
			[]string{"ws://ws.example.com/ws", inCluster}},
		{"wildcard host only", func(o *Observation) {
			with(func(i *v1alpha1.IngressSpec) { i.Hosts = []string{"*.example.com"} })(o)
			o.Ingress.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.1"}}
		}, []string{inCluster}},
		{"load balancer", loadBalancer(corev1.LoadBalancerIngress{Hostname: "lb.example.com", IP: "192.0.2.1"}),
			[]string{"ws://lb.example.com/ws", inCluster}},
		{"certificate of the gateways", gatewayTLS, []string{"wss://demo-gateway.team.svc/ws"}},
		{"TLS is being switched on", func(o *Observation) {
			o.Service.Spec.Ports = append(o.Service.Spec.Ports, tlsPort)
		}, []string{inCluster, "wss://demo-gateway.team.svc/ws"}},
		{"load balancer to TLS", func(o *Observation) {
			gatewayTLS(o)
			loadBalancer(corev1.LoadBalancerIngress{Hostname: "lb.example.com"})(o)
		}, []string{"wss://lb.example.com/ws", "wss://demo-gateway.team.svc/ws"}},
		{"host without a certificate before TLS", func(o *Observation) {
			gatewayTLS(o)
			with(func(*v1alpha1.IngressSpec) {})(o)
		}, []string{"ws://ws.example.com/ws", "wss://demo-gateway.team.svc/ws"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, Compute(settled(c.change)).URLs)
		})
	}
}
