package transport

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks whose word about a client's address is taken.
type Proxies []netip.Prefix

// ParseProxies reads networks (10.0.0.0/8) and single addresses.
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

func (p Proxies) trust(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// ClientIP is the address that limits count against: the peer's, or, behind trusted proxies, the
// right-most address of X-Forwarded-For that is none of them. What stands left of it is only what
// that client claimed.
func (p Proxies) ClientIP(r *http.Request) netip.Addr {
	client := peerIP(r.RemoteAddr)
	if !p.trust(client) {
		return client
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr, ok := hopIP(strings.TrimSpace(hop))
		if !ok {
			break
		}
		client = addr
		if !p.trust(addr) {
			break
		}
	}
	return client
}

func peerIP(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// hopIP reads one entry of X-Forwarded-For; some proxies add the port.
func hopIP(hop string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(hop); err == nil {
		return addr.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(hop); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}
