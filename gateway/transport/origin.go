package transport

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Origins decides which web pages may connect, by the Origin header (RFC 6455 section 10.2). Browsers do
// not apply their same-origin policy to WebSockets, so without this check any page could connect with its
// visitor's cookies.
type Origins struct {
	// all allows every origin.
	all bool
	// anyPort allows pages of the own host on every port where the Host header has none.
	anyPort bool
	// exact holds scheme://host[:port] without a default port, null and file://.
	exact map[string]bool
	// wildcards maps a scheme to host suffixes that begin with a dot.
	wildcards map[string][]string
}

// ParseOrigins parses the patterns scheme://host[:port], scheme://*.domain[:port], *, and null and file://, which
// browsers send for pages without a host. It returns an error for any other pattern, which the error names.
func ParseOrigins(patterns []string) (Origins, error) {
	o := Origins{exact: map[string]bool{}, wildcards: map[string][]string{}}
	for _, p := range patterns {
		p := strings.ToLower(p)
		switch p {
		case "*":
			o.all = true
			continue
		case "null", "file://":
			o.exact[p] = true
			continue
		}
		u, err := url.Parse(p)
		if err != nil || !isOrigin(u) {
			return Origins{}, fmt.Errorf("%q is no origin", p)
		}
		domain, isWildcard := strings.CutPrefix(u.Host, "*.")
		switch {
		case strings.Contains(domain, "*") || domain == "":
			return Origins{}, fmt.Errorf("%q has a * elsewhere than as the first label of the host", p)
		case isWildcard:
			o.wildcards[u.Scheme] = append(o.wildcards[u.Scheme], "."+withoutDefaultPort(u.Scheme, domain))
		default:
			o.exact[u.Scheme+"://"+withoutDefaultPort(u.Scheme, domain)] = true
		}
	}
	return o, nil
}

// WithAnyPort returns origins that allow pages of the gateway's own host on every port where the Host header has no
// port: a proxy may have removed the one that the page has.
func (o Origins) WithAnyPort() Origins {
	o.anyPort = true
	return o
}

// Allow reports whether the request's origin may connect. A request without an Origin header is allowed:
// its client is no browser, so it cannot send another user's cookies. The gateway's own host is always
// allowed.
func (o Origins) Allow(r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) == 0 || o.all {
		return true
	}
	if len(values) > 1 {
		return false
	}
	origin := strings.ToLower(values[0])
	if o.exact[origin] {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || !isOrigin(u) {
		return false
	}
	host := withoutDefaultPort(u.Scheme, u.Host)
	if o.isOwn(u, strings.ToLower(r.Host)) || o.exact[u.Scheme+"://"+host] {
		return true
	}
	for _, suffix := range o.wildcards[u.Scheme] {
		if len(host) > len(suffix) && strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

// isOwn reports whether the origin is that of the gateway, whose Host header is host.
func (o Origins) isOwn(origin *url.URL, host string) bool {
	if !isWeb(origin.Scheme) {
		return false
	}
	same := withoutDefaultPort(origin.Scheme, origin.Host) == withoutDefaultPort(origin.Scheme, host)
	return same || o.anyPort && withoutPort(origin.Host) == host
}

// isWeb reports whether an origin of the scheme can be the gateway's own. A proxy may have ended TLS, so that is true
// of both http and https. Clients that are no browsers send the scheme of the URL that they connect to, ws or wss.
// Pages of other schemes, such as a browser extension's, are never on the gateway's host.
func isWeb(scheme string) bool {
	switch scheme {
	case "http", "https", "ws", "wss":
		return true
	default:
		return false
	}
}

// isOrigin reports whether the URL consists of a scheme and a host, as browsers serialize origins
// (RFC 6454 section 6.1).
func isOrigin(u *url.URL) bool {
	isBare := u.User == nil && u.Path == "" && u.RawQuery == "" && !u.ForceQuery && u.Fragment == ""
	return isBare && u.Scheme != "" && u.Host != ""
}

// withoutDefaultPort removes the port that the scheme implies.
func withoutDefaultPort(scheme, host string) string {
	switch scheme {
	case "http", "ws":
		return strings.TrimSuffix(host, ":80")
	case "https", "wss":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}

// withoutPort removes the port. The colons of an IPv6 address, which is in brackets, belong to no port.
func withoutPort(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		return host[:i]
	}
	return host
}
