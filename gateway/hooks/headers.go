package hooks

import (
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"
)

// forwardedNames returns the names of the headers that Connect forwards.
func forwardedNames(configured []string) []string {
	names := []string{"Origin", "User-Agent"}
	for _, name := range configured {
		if name = http.CanonicalHeaderKey(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// forwardable reports whether a header can be forwarded. It is false for headers of the connection, and for those of
// the request to the backend.
func forwardable(name string) bool {
	if !httpguts.ValidHeaderFieldName(name) {
		return false
	}
	name = http.CanonicalHeaderKey(name)
	for _, prefix := range []string{"Content-", "Proxy-", "Sec-Websocket-", "Webhook-"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	switch name {
	case "Accept-Encoding", "Connection", "Expect", "Host", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return false
	}
	return true
}

// pickHeaders returns the named headers of h, each as one line. It leaves out values that cannot be sent, so that a
// client cannot make the request to the backend fail.
func pickHeaders(h http.Header, names []string) map[string]string {
	picked := map[string]string{}
	for _, name := range names {
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		value := strings.Join(h.Values(name), separator)
		if value != "" && utf8.ValidString(value) && httpguts.ValidHeaderFieldValue(value) {
			picked[name] = value
		}
	}
	return picked
}
