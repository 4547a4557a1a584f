package status

import (
	"net"
	"path"
	"slices"
	"strings"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// urls are where clients connect: from outside first, from inside the cluster last.
func urls(o Observation) []string {
	var all []string
	if ingress := o.spec().Ingress; ingress != nil && o.Ingress != nil {
		for _, host := range ingressHosts(o) {
			all = append(all, scheme(ingress, host)+"://"+bracketed(host)+servedUnder(ingress.Path))
		}
	}
	if o.Service == nil {
		return all
	}
	own := "ws"
	if o.spec().Gateway.TLS != nil {
		own = "wss"
	}
	for _, at := range o.Service.Status.LoadBalancer.Ingress {
		if host := firstOf(at.Hostname, at.IP); host != "" {
			all = append(all, own+"://"+bracketed(host)+contract.PathPlain)
		}
	}
	return append(all, own+"://"+render.GatewayName(o.Cluster.Name)+"."+o.Cluster.Namespace+".svc"+contract.PathPlain)
}

// ingressHosts are the spec's but for wildcards, which nobody can connect to, or, where it takes every
// host, the controller's own addresses.
func ingressHosts(o Observation) []string {
	var hosts []string
	if named := o.spec().Ingress.Hosts; len(named) > 0 {
		for _, host := range named {
			if !strings.HasPrefix(host, "*.") {
				hosts = append(hosts, host)
			}
		}
		return hosts
	}
	for _, at := range o.Ingress.Status.LoadBalancer.Ingress {
		if host := firstOf(at.Hostname, at.IP); host != "" {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

func scheme(ingress *v1alpha1.IngressSpec, host string) string {
	for _, tls := range ingress.TLS {
		if len(tls.Hosts) == 0 || slices.ContainsFunc(tls.Hosts, func(certified string) bool { return covers(certified, host) }) {
			return "wss"
		}
	}
	return "ws"
}

// covers says whether a certificate's host name is for the host; a wildcard is for one label.
func covers(certified, host string) bool {
	if domain, wildcard := strings.CutPrefix(certified, "*."); wildcard && host != certified {
		_, parent, found := strings.Cut(host, ".")
		return found && parent == domain
	}
	return certified == host
}

// servedUnder is the gateway's path that the Ingress' prefix leads to. A prefix that leads to none
// of them only makes sense with a controller that strips it.
func servedUnder(prefix string) string {
	for _, served := range []string{contract.PathPlain, contract.PathCentrifuge} {
		trimmed := strings.TrimSuffix(prefix, "/")
		if served == trimmed || strings.HasPrefix(served, trimmed+"/") {
			return served
		}
	}
	return path.Join(prefix, contract.PathPlain)
}

func bracketed(host string) string {
	if address := net.ParseIP(host); address != nil && address.To4() == nil {
		return "[" + host + "]"
	}
	return host
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
