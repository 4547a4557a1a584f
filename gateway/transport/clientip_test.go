package transport_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

func TestClientIP(t *testing.T) {
	cases := []struct {
		name      string
		trusted   []string
		peer      string
		forwarded []string
		want      string
	}{
		{"no trusted proxy", nil, "203.0.113.1:1", []string{"198.51.100.9"}, "203.0.113.1"},
		{"untrusted peer", []string{"10.0.0.0/8"}, "203.0.113.1:1", []string{"198.51.100.9"}, "203.0.113.1"},
		{"trusted peer", []string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"198.51.100.9"}, "198.51.100.9"},
		{"claims left of the first untrusted hop", []string{"10.0.0.0/8"}, "10.1.1.1:1",
			[]string{"1.1.1.1, 198.51.100.9, 10.2.2.2"}, "198.51.100.9"},
		{"several headers", []string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"1.1.1.1", "198.51.100.9", "10.2.2.2"},
			"198.51.100.9"},
		{"only proxies", []string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3"},
		{"no header", []string{"10.0.0.0/8"}, "10.1.1.1:1", nil, "10.1.1.1"},
		{"garbage", []string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"<script>"}, "10.1.1.1"},
		{"garbage further left", []string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"unknown, 10.2.2.2"}, "10.2.2.2"},
		{"with port", []string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"198.51.100.9:4711"}, "198.51.100.9"},
		{"IPv6", []string{"fd00::/8"}, "[fd00::1]:1", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"IPv6 in brackets", []string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 in brackets between others", []string{"10.0.0.0/8"}, "10.1.1.1:1",
			[]string{"1.1.1.1, [2001:db8::1], 10.2.2.2"}, "2001:db8::1"},
		{"IPv4 in brackets", []string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"[203.0.113.7]"}, "10.1.1.1"},
		{"bracket without end", []string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"[2001:db8::1"}, "10.1.1.1"},
		{"empty last entry", []string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"203.0.113.7, "}, "203.0.113.7"},
		{"empty entries between", []string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"203.0.113.7,, ,10.2.2.2"}, "203.0.113.7"},
		{"empty header", []string{"10.0.0.0/8"}, "10.1.1.1:1", []string{""}, "10.1.1.1"},
		{"empty second header", []string{"10.0.0.0/8"}, "10.1.1.1:1", []string{"203.0.113.7", ""}, "203.0.113.7"},
		{"IPv4 in IPv6", []string{"10.0.0.0/8"}, "[::ffff:10.1.1.1]:1", []string{"::ffff:198.51.100.9"}, "198.51.100.9"},
		{"single address", []string{"10.1.1.1"}, "10.1.1.1:1", []string{"198.51.100.9"}, "198.51.100.9"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, err := transport.ParseProxies(c.trusted)
			require.NoError(t, err)
			r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded}}
			require.Equal(t, c.want, p.ClientIP(r).String())
		})
	}
}
