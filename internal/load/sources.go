package load

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// maxSources is the maximum number of source addresses. It protects against a mistyped range.
const maxSources = 1 << 16

// ParseSources parses addresses and ranges of them, like "127.0.0.1-127.0.0.10,127.0.1.1". It returns an *Error when a
// part is no address or range, or when there are more than 65536 addresses.
func ParseSources(text string) ([]netip.Addr, error) {
	var all []netip.Addr
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		from, err := netip.ParseAddr(first)
		if err != nil {
			return nil, sourcesError(part)
		}
		to, err := netip.ParseAddr(last)
		if err != nil || to.Less(from) || to.Is4() != from.Is4() {
			return nil, sourcesError(part)
		}
		for a := from; a.IsValid() && !to.Less(a); a = a.Next() {
			if len(all) == maxSources {
				return nil, &Error{Flag: "sources", Problem: fmt.Sprintf("more than %d addresses: give fewer", maxSources)}
			}
			all = append(all, a)
		}
	}
	return all, nil
}

func sourcesError(part string) error {
	return &Error{
		Flag:    "sources",
		Problem: fmt.Sprintf("%q is no address and no range: give one like 127.0.0.1-127.0.0.10", part),
	}
}

// defaultSources returns ten addresses of 127.0.0.0/8 when the server listens there, so that the clients have more
// ports; otherwise none.
func defaultSources(ctx context.Context, rawURL string) []netip.Addr {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, u.Hostname())
	if err != nil || len(addresses) == 0 {
		return nil
	}
	if a, err := netip.ParseAddr(addresses[0]); err != nil || !a.Is4() || !a.IsLoopback() {
		return nil
	}
	all, err := ParseSources("127.0.0.1-127.0.0.10")
	if err != nil {
		return nil
	}
	return all
}
