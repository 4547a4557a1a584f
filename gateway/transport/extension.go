package transport

import (
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const (
	headerExtensions = "Sec-Websocket-Extensions"

	extensionDeflate = "permessage-deflate"
	// Parameters of permessage-deflate, RFC 7692 section 7.1.
	serverNoTakeover = "server_no_context_takeover"
	clientNoTakeover = "client_no_context_takeover"
	serverWindow     = "server_max_window_bits"
	clientWindow     = "client_max_window_bits"
	// maxWindowBits is the only window that the gateway compresses with. Every client can read it unless
	// it asks for a smaller one.
	maxWindowBits = "15"
)

// extension is one extension that a client offers, RFC 6455 section 9.1.
type extension struct {
	name       string
	parameters []parameter
}

// parameter is a parameter of an extension. The value is empty when none was given; the grammar does not
// allow an empty value.
type parameter struct{ name, value string }

// parseExtensions parses the values of Sec-WebSocket-Extensions headers, RFC 6455 section 9.1. The offers
// are in the client's order of preference. It reports false when a value violates the grammar.
func parseExtensions(header []string) (offers []extension, ok bool) {
	s := extensionScanner{rest: strings.Join(header, ",")}
	for {
		// A list may contain empty elements, RFC 9110 section 5.6.1.2.
		if s.atEnd() {
			return offers, true
		}
		if s.skip(',') {
			continue
		}
		e := extension{name: s.token()}
		for s.skip(';') {
			p := parameter{name: s.token()}
			if s.skip('=') {
				p.value = s.value()
				s.bad = s.bad || p.value == ""
			}
			s.bad = s.bad || p.name == ""
			e.parameters = append(e.parameters, p)
		}
		if s.bad || e.name == "" || !s.atEnd() && !s.skip(',') {
			return nil, false
		}
		offers = append(offers, e)
	}
}

// extensionScanner splits a header's value into tokens.
type extensionScanner struct {
	rest string
	// bad reports that the value violates the grammar.
	bad bool
}

// skipSpace skips optional whitespace, RFC 9110 section 5.6.3.
func (s *extensionScanner) skipSpace() { s.rest = strings.TrimLeft(s.rest, " \t") }

// atEnd reports whether nothing but whitespace is left.
func (s *extensionScanner) atEnd() bool {
	s.skipSpace()
	return s.rest == ""
}

// skip skips the character if it is next, and reports whether it was.
func (s *extensionScanner) skip(c byte) bool {
	s.skipSpace()
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// token reads a token, RFC 9110 section 5.6.2. It is empty if none is next.
func (s *extensionScanner) token() string {
	s.skipSpace()
	n := strings.IndexFunc(s.rest, func(r rune) bool { return !httpguts.IsTokenRune(r) })
	if n < 0 {
		n = len(s.rest)
	}
	token := s.rest[:n]
	s.rest = s.rest[n:]
	return token
}

// value reads a token, or a quoted string (RFC 9110 section 5.6.4) whose content is a token.
func (s *extensionScanner) value() string {
	if !s.skip('"') {
		return s.token()
	}
	var b strings.Builder
	for i := 0; i < len(s.rest); i++ {
		c := s.rest[i]
		if c == '"' {
			s.rest = s.rest[i+1:]
			return b.String()
		}
		if c == '\\' && i+1 < len(s.rest) {
			i++
			c = s.rest[i]
		}
		s.bad = s.bad || !httpguts.IsTokenRune(rune(c))
		b.WriteByte(c)
	}
	s.bad = true
	return ""
}

// hasValidExtensions reports whether a handshake's extension headers follow the grammar. Otherwise the
// handshake must be refused, RFC 6455 section 9.1.
func hasValidExtensions(r *http.Request) bool {
	_, ok := parseExtensions(r.Header.Values(headerExtensions))
	return ok
}

// negotiateExtensions returns the extension header of the handshake's response. It is empty if no
// extension was negotiated.
func (s *Server) negotiateExtensions(r *http.Request) string {
	if !s.options.Compression {
		return ""
	}
	offers, _ := parseExtensions(r.Header.Values(headerExtensions))
	return negotiateDeflate(offers)
}

// negotiateDeflate returns the response to the first offer of permessage-deflate that the gateway
// accepts, RFC 7692 section 7.1. It is empty without one. The response always excludes context takeover:
// so an idle connection needs no window, and all receivers can share one compressed frame.
func negotiateDeflate(offers []extension) (response string) {
	for _, offer := range offers {
		if offer.name != extensionDeflate || !isAcceptable(offer.parameters) {
			continue
		}
		response = extensionDeflate + "; " + serverNoTakeover + "; " + clientNoTakeover
		if slices.Contains(offer.parameters, parameter{serverWindow, maxWindowBits}) {
			// A client that asks for a window must get one in the response, section 7.1.2.1.
			response += "; " + serverWindow + "=" + maxWindowBits
		}
		return response
	}
	return ""
}

// isAcceptable reports whether the gateway accepts an offer with these parameters. RFC 7692 section 7.1
// lists what must be declined. Windows that the compressor does not have are declined too.
func isAcceptable(offered []parameter) bool {
	for i, p := range offered {
		switch p.name {
		case serverNoTakeover, clientNoTakeover:
			if p.value != "" {
				return false
			}
		case serverWindow:
			if p.value != maxWindowBits {
				return false
			}
		case clientWindow:
			// This is a hint that the client can compress with a smaller window. The gateway reads any.
			if p.value != "" && !isWindowBits(p.value) {
				return false
			}
		default:
			return false
		}
		if slices.ContainsFunc(offered[:i], func(o parameter) bool { return o.name == p.name }) {
			return false
		}
	}
	return true
}

// isWindowBits reports whether the value is a number from 8 to 15 without a leading zero, RFC 7692
// section 7.1.2.
func isWindowBits(value string) bool {
	return slices.Contains([]string{"8", "9", "10", "11", "12", "13", "14", maxWindowBits}, value)
}
