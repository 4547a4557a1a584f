package status

import (
	"cmp"
	"net"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// urls returns the URLs at which clients connect: those of the Ingress and of the Gateways, then those of the load
// balancer, then those of the Service for clients in the cluster. A Service has two ports while TLS is switched on or
// off.
func urls(o Observation) []string {
	var all []string
	if ingress := o.spec().Ingress; ingress != nil && o.Ingress != nil {
		for _, host := range ingressHosts(o) {
			all = append(all, ingressScheme(ingress, host)+"://"+urlHost(host)+gatewayPath(ingress.Path))
		}
	}
	if o.spec().GatewayAPI != nil && o.Route != nil {
		all = append(all, routeURLs(o)...)
	}
	if o.Service == nil {
		return all
	}
	service := render.GatewayName(o.Cluster.Name) + "." + o.Cluster.Namespace + ".svc"
	hosts := append(loadBalancerHosts(o.Service), service)
	for _, host := range hosts {
		for _, port := range o.Service.Spec.Ports {
			all = append(all, serviceScheme(port)+"://"+urlHost(host)+contract.PathPlain)
		}
	}
	return all
}

// serviceScheme returns the scheme of the URL of a port of the Service.
func serviceScheme(port corev1.ServicePort) string {
	if render.IsTLSPort(port) {
		return "wss"
	}
	return "ws"
}

// loadBalancerHosts returns the addresses of the Service's load balancer.
func loadBalancerHosts(service *corev1.Service) []string {
	var hosts []string
	for _, address := range service.Status.LoadBalancer.Ingress {
		if host := cmp.Or(address.Hostname, address.IP); host != "" {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// ingressHosts returns the hosts of the spec without wildcards, which are no host that a client can connect to. If the
// spec has none, the Ingress accepts every host, and the addresses of the ingress controller are returned.
func ingressHosts(o Observation) []string {
	var hosts []string
	if specified := o.spec().Ingress.Hosts; len(specified) > 0 {
		for _, host := range specified {
			if !strings.HasPrefix(host, "*.") {
				hosts = append(hosts, host)
			}
		}
		return hosts
	}
	for _, address := range o.Ingress.Status.LoadBalancer.Ingress {
		if host := cmp.Or(address.Hostname, address.IP); host != "" {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// ingressScheme returns wss if the Ingress has a certificate for the host, else ws.
func ingressScheme(ingress *v1alpha1.IngressSpec, host string) string {
	for _, tls := range ingress.TLS {
		coversHost := func(certified string) bool { return covers(certified, host) }
		if len(tls.Hosts) == 0 || slices.ContainsFunc(tls.Hosts, coversHost) {
			return "wss"
		}
	}
	return "ws"
}

// covers reports whether a certificate for the host name certified is valid for host. A wildcard stands for one label.
func covers(certified, host string) bool {
	if domain, wildcard := strings.CutPrefix(certified, "*."); wildcard && host != certified {
		_, parent, found := strings.Cut(host, ".")
		return found && parent == domain
	}
	return certified == host
}

// gatewayPath returns the gateway's path that clients reach below the Ingress' path prefix. A prefix of no such path
// makes sense only if the ingress controller strips it, so the plain protocol's path is appended to it.
func gatewayPath(prefix string) string {
	trimmed := strings.TrimSuffix(prefix, "/")
	for _, served := range []string{contract.PathPlain, contract.PathCentrifuge} {
		if served == trimmed || strings.HasPrefix(served, trimmed+"/") {
			return served
		}
	}
	return path.Join(prefix, contract.PathPlain)
}

// urlHost returns the host as a URL has it: an IPv6 address in brackets.
func urlHost(host string) string {
	if address := net.ParseIP(host); address != nil && address.To4() == nil {
		return "[" + host + "]"
	}
	return host
}
