package transport

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Origins decides which web pages may connect. Browsers do not apply their same-origin policy to
// WebSockets, so a gateway that does not check lets any page act with its visitor's cookies.
type Origins struct {
	all   bool
	exact map[string]bool
	// wild holds scheme -> suffixes that begin with a dot.
	wild map[string][]string
}

// ParseOrigins reads scheme://host[:port], scheme://*.domain[:port] and *.
func ParseOrigins(patterns []string) (Origins, error) {
	o := Origins{exact: map[string]bool{}, wild: map[string][]string{}}
	for _, p := range patterns {
		if p == "*" {
			o.all = true
			continue
		}
		u, err := url.Parse(strings.ToLower(p))
		if err != nil || !isOrigin(u) {
			return Origins{}, fmt.Errorf("%q is no origin", p)
		}
		domain, wild := strings.CutPrefix(u.Host, "*.")
		switch {
		case strings.Contains(domain, "*") || domain == "":
			return Origins{}, fmt.Errorf("%q has a * elsewhere than as the first label of the host", p)
		case wild:
			o.wild[u.Scheme] = append(o.wild[u.Scheme], "."+withoutDefaultPort(u.Scheme, domain))
		default:
			o.exact[u.Scheme+"://"+withoutDefaultPort(u.Scheme, domain)] = true
		}
	}
	return o, nil
}

// Allow reports whether a handshake may go on. Without an Origin header the client is no browser,
// and nobody else's cookies are at stake.
func (o Origins) Allow(r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) == 0 || o.all {
		return true
	}
	if len(values) > 1 {
		return false
	}
	u, err := url.Parse(strings.ToLower(values[0]))
	if err != nil || !isOrigin(u) {
		return false
	}
	host := withoutDefaultPort(u.Scheme, u.Host)
	// A proxy may have ended TLS, so which of the two schemes the browser saw is not known here. A page
	// of any other scheme, such as an extension's, has no host that could be ours.
	web := u.Scheme == "http" || u.Scheme == "https"
	if web && host == withoutDefaultPort(u.Scheme, strings.ToLower(r.Host)) || o.exact[u.Scheme+"://"+host] {
		return true
	}
	for _, suffix := range o.wild[u.Scheme] {
		if len(host) > len(suffix) && strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

// isOrigin reports whether a URL is only a scheme and a host, as browsers write origins.
func isOrigin(u *url.URL) bool {
	return u.Scheme != "" && u.Host != "" && u.User == nil && u.Path == "" && u.RawQuery == "" && !u.ForceQuery && u.Fragment == ""
}

func withoutDefaultPort(scheme, host string) string {
	switch scheme {
	case "http", "ws":
		return strings.TrimSuffix(host, ":80")
	case "https", "wss":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}
