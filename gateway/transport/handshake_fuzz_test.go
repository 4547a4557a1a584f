package transport

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// handshakeHead returns the head of a valid handshake with additional lines.
func handshakeHead(lines ...string) string {
	return strings.Join(append([]string{
		"GET /ws?channel=a HTTP/1.1", "Host: gateway.example", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
	}, lines...), "\r\n") + "\r\n\r\n"
}

// FuzzHandshake checks that whatever is accepted is a handshake of RFC 6455 section 4.2.1. It checks the
// bytes in another way than the gateway.
func FuzzHandshake(f *testing.F) {
	for _, lines := range [][]string{nil, {"Origin: https://app.example", "Sec-WebSocket-Protocol: chat, centrifuge-json"},
		{"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"}, {"Sec-WebSocket-Version: 8"},
		{"Content-Length: 1"}, {"Transfer-Encoding: chunked"}, {"X-Forwarded-For: 10.0.0.1, [::1]:80, x"},
		{"Connection: keep-alive"}, {" folded: x"}, {"X\x00: y"},
	} {
		f.Add([]byte(handshakeHead(lines...)))
	}
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	origins, err := ParseOrigins([]string{"https://app.example", "https://*.example.org"})
	require.NoError(f, err)
	proxies, err := ParseProxies([]string{"10.0.0.0/8"})
	require.NoError(f, err)
	spoken := []string{"centrifuge-json"}
	f.Fuzz(func(t *testing.T, head []byte) {
		requireActionableRefusal(t, head)
		r, early, ok := parseHandshake(head)
		if !ok {
			return
		}
		require.True(t, bytes.HasSuffix(head, early), "what came behind the head is kept")
		head = head[:len(head)-len(early)]
		require.True(t, bytes.HasSuffix(head, []byte("\n")), "the head is whole")
		for i := range head {
			_, _, ok := parseHandshake(head[:i])
			require.False(t, ok, "no part of a head is one: %d bytes of %d", i, len(head))
		}
		r.RemoteAddr = "10.1.2.3:4"
		origins.Allow(r)
		proxies.ClientIP(r)
		if chosen := chooseSubprotocol(r, spoken); chosen != "" {
			require.Contains(t, spoken, chosen)
			require.Contains(t, string(head), chosen)
		}
		require.Regexp(t, "^GET /[^ \r\n]* HTTP/1\\.[1-9]\r?\n", string(head), "item 1: method and version")
		lines := fields(head)
		require.Len(t, lines["host"], 1, "item 2: one Host")
		require.Contains(t, strings.ToLower(strings.Join(lines["upgrade"], ",")), "websocket", "item 3")
		require.Contains(t, strings.ToLower(strings.Join(lines["connection"], ",")), "upgrade", "item 4")
		require.Len(t, lines["sec-websocket-key"], 1, "item 5: one key")
		key, err := base64.StdEncoding.DecodeString(lines["sec-websocket-key"][0])
		require.NoError(t, err, "item 5")
		require.Len(t, key, 16, "item 5")
		require.Equal(t, []string{"13"}, lines["sec-websocket-version"], "item 6")
		require.False(t,
			slices.ContainsFunc(lines["content-length"], func(n string) bool { return strings.Trim(n, "0") != "" }), "no body")
		require.Empty(t, lines["transfer-encoding"], "no body")
		if _, early, ok := parseHandshake(head); ok {
			require.Len(t, lines["host"], 1, "item 2: no HTTP server checks this")
			_, rest, _ := bytes.Cut(head, []byte("\r\n\r\n"))
			require.Equal(t, string(rest), string(early), "the first frames")
		}
	})
}

// requireActionableRefusal checks that a refusal is a client error with a message.
func requireActionableRefusal(t *testing.T, head []byte) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return
	}
	if refusal := checkHandshake(r); refusal != nil {
		require.GreaterOrEqual(t, refusal.Status, 400)
		require.Less(t, refusal.Status, 500)
		require.NotEmpty(t, refusal.Message)
	}
}

// fields returns the headers of a head by their names in lower case.
func fields(head []byte) map[string][]string {
	out := map[string][]string{}
	_, rest, _ := strings.Cut(string(head), "\n")
	for line := range strings.SplitSeq(rest, "\n") {
		line = strings.TrimRight(line, "\r")
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		name = strings.ToLower(name)
		out[name] = append(out[name], strings.Trim(value, " \t"))
	}
	return out
}
