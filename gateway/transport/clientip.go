package transport

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks of trusted proxies, whose X-Forwarded-For and Forwarded headers are used.
type Proxies []netip.Prefix

// ParseProxies parses networks (10.0.0.0/8) and single addresses. It returns an error for any other
// value, which the error names.
func ParseProxies(values []string) (Proxies, error) {
	var out Proxies
	for _, v := range values {
		if addr, err := netip.ParseAddr(v); err == nil {
			out = append(out, netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(v)
		if err != nil {
			return nil, fmt.Errorf("%q is no network and no address", v)
		}
		out = append(out, prefix.Masked())
	}
	return out, nil
}

// trusts reports whether the address belongs to a trusted proxy.
func (p Proxies) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// ClientIP returns the client's address, which limits count against. Without a trusted proxy, it is the
// address of the TCP connection. Behind trusted proxies, it is the right-most address in X-Forwarded-For
// that is not a trusted proxy: everything left of it is a claim of that client. Empty entries do not count (RFC 9110
// section 5.6.1.2).
//
// Forwarded (RFC 7239) is read in the same way where X-Forwarded-For has no entry. Most proxies add only the latter and
// pass on what the client claims in the former, so the former must never win over it.
func (p Proxies) ClientIP(r *http.Request) netip.Addr {
	client := peerIP(r.RemoteAddr)
	if !p.trusts(client) {
		return client
	}
	hops, parse := forwardedForHops(r.Header.Values("X-Forwarded-For")), hopIP
	if len(hops) == 0 {
		hops, parse = forwardedHops(r.Header.Values("Forwarded")), nodeIP
	}
	for _, hop := range slices.Backward(hops) {
		addr, ok := parse(hop)
		if !ok {
			break
		}
		client = addr
		if !p.trusts(addr) {
			break
		}
	}
	return client
}

// forwardedForHops returns the entries of X-Forwarded-For headers that are not empty, the client's first.
func forwardedForHops(values []string) []string {
	var hops []string
	for hop := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if hop = strings.TrimSpace(hop); hop != "" {
			hops = append(hops, hop)
		}
	}
	return hops
}

// peerIP returns the IP address of an ip:port, and the zero value for anything else.
func peerIP(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// hopIP parses one entry of X-Forwarded-For. Some proxies add the port, or put an IPv6 address in brackets.
func hopIP(hop string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(hop); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	if inner, ok := strings.CutPrefix(hop, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(inner, ":") {
			return netip.Addr{}, false
		}
		hop = inner
	}
	addr, err := netip.ParseAddr(hop)
	return addr.Unmap().WithZone(""), err == nil
}
