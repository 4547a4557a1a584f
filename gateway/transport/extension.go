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
	// largestWindow is the only one that the gateway compresses with; every peer can read it unless it
	// says otherwise.
	largestWindow = "15"
)

// extension is one offer of a client, RFC 6455 section 9.1.
type extension struct {
	name       string
	parameters []parameter
}

// parameter has no value where none was given; a value is never empty.
type parameter struct{ name, value string }

// parseExtensions reads the offers, the one that the client likes best first. It reports false for what
// the grammar does not allow.
func parseExtensions(header []string) (offers []extension, ok bool) {
	s := extensionScanner{rest: strings.Join(header, ",")}
	for {
		// A list may have empty elements, RFC 9110 section 5.6.1.
		if s.end() {
			return offers, true
		}
		if s.take(',') {
			continue
		}
		e := extension{name: s.token()}
		for s.take(';') {
			p := parameter{name: s.token()}
			if s.take('=') {
				p.value = s.value()
				s.bad = s.bad || p.value == ""
			}
			s.bad = s.bad || p.name == ""
			e.parameters = append(e.parameters, p)
		}
		if s.bad || e.name == "" || !s.end() && !s.take(',') {
			return nil, false
		}
		offers = append(offers, e)
	}
}

// extensionScanner takes a header's value apart.
type extensionScanner struct {
	rest string
	bad  bool
}

func (s *extensionScanner) space() { s.rest = strings.TrimLeft(s.rest, " \t") }

func (s *extensionScanner) end() bool {
	s.space()
	return s.rest == ""
}

func (s *extensionScanner) take(c byte) bool {
	s.space()
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// token is empty where there is none.
func (s *extensionScanner) token() string {
	s.space()
	n := strings.IndexFunc(s.rest, func(r rune) bool { return !httpguts.IsTokenRune(r) })
	if n < 0 {
		n = len(s.rest)
	}
	token := s.rest[:n]
	s.rest = s.rest[n:]
	return token
}

// value is a token, or a quoted string that is one without its quotes and backslashes.
func (s *extensionScanner) value() string {
	if !s.take('"') {
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

// validExtensions tells whether a handshake's offers are well-formed. Who sends others is refused,
// RFC 6455 section 9.1.
func validExtensions(r *http.Request) bool {
	_, ok := parseExtensions(r.Header.Values(headerExtensions))
	return ok
}

// extension is what a handshake's answer says of extensions; empty for nothing.
func (s *Server) extension(r *http.Request) string {
	if !s.options.Compression {
		return ""
	}
	offers, _ := parseExtensions(r.Header.Values(headerExtensions))
	return negotiateDeflate(offers)
}

// negotiateDeflate answers the first offer of permessage-deflate that the gateway can keep to; empty
// without one. Neither side takes its context from one message to the next, so that an idle
// connection needs no memory, and one compressed frame suits every receiver.
func negotiateDeflate(offers []extension) (answer string) {
	for _, offer := range offers {
		if offer.name != extensionDeflate || !acceptable(offer.parameters) {
			continue
		}
		answer = extensionDeflate + "; " + serverNoTakeover + "; " + clientNoTakeover
		if slices.Contains(offer.parameters, parameter{serverWindow, largestWindow}) {
			// Whoever asks for a window must hear of one, section 7.1.2.1.
			answer += "; " + serverWindow + "=" + largestWindow
		}
		return answer
	}
	return ""
}

// acceptable declines what section 7.1 tells to decline, and windows that the compressor does not have.
func acceptable(offered []parameter) bool {
	for i, p := range offered {
		switch p.name {
		case serverNoTakeover, clientNoTakeover:
			if p.value != "" {
				return false
			}
		case serverWindow:
			if p.value != largestWindow {
				return false
			}
		case clientWindow:
			// A hint: this client can do with a smaller window. Any is fine to read.
			if p.value != "" && !windowBits(p.value) {
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

// windowBits tells whether a value is a number from 8 to 15 without a leading zero.
func windowBits(value string) bool {
	return slices.Contains([]string{"8", "9", "10", "11", "12", "13", "14", largestWindow}, value)
}
