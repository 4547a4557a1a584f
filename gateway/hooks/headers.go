package hooks

import (
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"
)

// forwarded are the names of the headers that Connect forwards.
func forwarded(configured []string) []string {
	names := []string{"Origin", "User-Agent"}
	for _, name := range configured {
		if name = http.CanonicalHeaderKey(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// forwardable refuses names that belong to the connection, or to the request that carries them.
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
	return !slices.Contains([]string{"Accept-Encoding", "Connection", "Expect", "Host", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}, name)
}

// pick takes the named headers, each as one line. One that could not be sent on is left out: no client
// shall be able to make its question fail.
func pick(h http.Header, names []string) map[string]string {
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
