package status

import (
	"net"
	"slices"
	"strconv"
	"strings"
)

// Listener is a listener of a Gateway that the HTTPRoute attaches to.
type Listener struct {
	// TLS reports whether clients connect with TLS.
	TLS bool
	// Port is the listener's TCP port.
	Port int32
	// Hostname is the host name that the listener accepts, which may be a wildcard. It is empty when it accepts all.
	Hostname string
	// Addresses are the Gateway's host names and IP addresses.
	Addresses []string
}

// routeURLs returns the URLs of the listeners, those with TLS first.
func routeURLs(o Observation) []string {
	var secure, plain []string
	for _, listener := range o.Listeners {
		for _, host := range listener.hosts(o.spec().GatewayAPI.Hostnames) {
			if listener.TLS {
				secure = append(secure, listener.url("wss", 443, host, o.spec().GatewayAPI.Path))
			} else {
				plain = append(plain, listener.url("ws", 80, host, o.spec().GatewayAPI.Path))
			}
		}
	}
	slices.Sort(secure)
	slices.Sort(plain)
	return slices.Concat(slices.Compact(secure), slices.Compact(plain))
}

// hosts returns the hosts at which clients reach the route through the listener: those of the spec that the listener
// accepts, or where the spec has none, the listener's own or the Gateway's addresses. A wildcard is no host that a
// client can connect to.
func (l Listener) hosts(hostnames []string) []string {
	if len(hostnames) == 0 {
		hostnames = l.Addresses
		if l.Hostname != "" {
			hostnames = []string{l.Hostname}
		}
	}
	return slices.DeleteFunc(slices.Clone(hostnames), func(host string) bool {
		return strings.HasPrefix(host, "*.") || l.Hostname != "" && !within(l.Hostname, host)
	})
}

// within reports whether the host name is that of the listener. Unlike in a certificate, a wildcard stands for any
// number of labels.
func within(listener, host string) bool {
	if domain, wildcard := strings.CutPrefix(listener, "*"); wildcard {
		return strings.HasSuffix(host, domain)
	}
	return listener == host
}

func (l Listener) url(scheme string, defaultPort int32, host, prefix string) string {
	authority := urlHost(host)
	if l.Port != defaultPort {
		authority = net.JoinHostPort(host, strconv.Itoa(int(l.Port)))
	}
	return scheme + "://" + authority + gatewayPath(prefix)
}
