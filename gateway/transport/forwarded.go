package transport

import (
	"net/netip"
	"strings"
)

// forwardedHops returns the node of each element of Forwarded headers, RFC 7239 section 4, the client's first. A node
// that the header does not tell is empty. So is the only one of a header that violates the grammar: its client may
// have begun a quoted string that swallows what the proxy appended.
func forwardedHops(values []string) []string {
	var hops []string
	for _, value := range values {
		nodes, ok := parseForwarded(value)
		if !ok {
			nodes = []string{""}
		}
		hops = append(hops, nodes...)
	}
	return hops
}

// parseForwarded returns the value of the parameter "for" of each element of one header. Empty elements do not count.
// It reports false for a header that violates the grammar of RFC 7239 section 4, except that values need no quotes.
func parseForwarded(header string) (nodes []string, ok bool) {
	for _, element := range splitUnquoted(header, ',') {
		if strings.TrimSpace(element) == "" {
			continue
		}
		node, named := "", false
		for _, pair := range splitUnquoted(element, ';') {
			name, value, found := strings.Cut(pair, "=")
			name = strings.TrimSpace(name)
			value, valid := unquote(strings.TrimSpace(value))
			// A name with a quote begins a quoted string too, which may hold what the proxy appended.
			if !valid || strings.Contains(name, `"`) || !found && name != "" {
				return nil, false
			}
			if !strings.EqualFold(name, "for") {
				continue
			}
			if named {
				return nil, false
			}
			node, named = value, true
		}
		nodes = append(nodes, node)
	}
	return nodes, true
}

// splitUnquoted splits s at each separator that is not in a quoted string, RFC 9110 section 5.6.4.
func splitUnquoted(s string, separator byte) []string {
	var parts []string
	quoted, begin := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && s[i] == separator:
			parts = append(parts, s[begin:i])
			begin = i + 1
		}
	}
	return append(parts, s[begin:])
}

// unquote returns the content of a value that is a quoted string, and another value as it is. It reports false for
// quotes anywhere else than around the whole value.
func unquote(value string) (content string, ok bool) {
	inner, quoted := strings.CutPrefix(value, `"`)
	if !quoted {
		return value, !strings.Contains(value, `"`)
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		switch {
		case inner[i] == '"':
			return b.String(), i == len(inner)-1
		case inner[i] == '\\' && i+1 < len(inner):
			i++
		}
		b.WriteByte(inner[i])
	}
	return "", false
}

// nodeIP returns the address of a node, RFC 7239 section 6. It reports false for "unknown" and for identifiers that
// hide the address. A port does not count, not even one that is hidden.
func nodeIP(node string) (netip.Addr, bool) {
	if end := strings.LastIndex(node, ":_"); end >= 0 {
		node = node[:end]
	}
	return hopIP(node)
}
