package transport_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

func TestOriginsAllow(t *testing.T) {
	none := []string(nil)
	cases := []struct {
		name    string
		allowed []string
		origin  []string
		want    bool
	}{
		{"no browser", none, nil, true},
		{"same host", none, []string{"http://gw.example.com"}, true},
		{"same host behind TLS", none, []string{"https://GW.example.com"}, true},
		{"default port", none, []string{"https://gw.example.com:443"}, true},
		{"same host with the scheme of the connection", none, []string{"wss://gw.example.com"}, true},
		{"same host with the scheme of a connection without TLS", none, []string{"ws://gw.example.com"}, true},
		{"default port of the scheme of the connection", none, []string{"wss://gw.example.com:443"}, true},
		{"default port of another scheme", none, []string{"ws://gw.example.com:443"}, false},
		{"another host with the scheme of the connection", none, []string{"wss://evil.example.com"}, false},
		{"listed with http, not with ws", []string{"http://app.example.com"}, []string{"ws://app.example.com"}, false},
		{"another port", none, []string{"http://gw.example.com:8081"}, false},
		{"another host", none, []string{"https://evil.example.com"}, false},
		{"host as prefix", none, []string{"https://gw.example.com.evil.com"}, false},
		{"opaque", none, []string{"null"}, false},
		{"empty", none, []string{""}, false},
		{"two headers", none, []string{"http://gw.example.com", "https://evil.com"}, false},
		{"listed", []string{"https://app.example.com"}, []string{"https://app.example.com"}, true},
		{"listed with another scheme", []string{"https://app.example.com"}, []string{"http://app.example.com"}, false},
		{"listed with port", []string{"http://localhost:3000"}, []string{"http://localhost:3000"}, true},
		{"list keeps same host", []string{"https://app.example.com"}, []string{"http://gw.example.com"}, true},
		{"wildcard", []string{"https://*.example.org"}, []string{"https://a.b.example.org"}, true},
		{"wildcard is not the domain itself", []string{"https://*.example.org"}, []string{"https://example.org"}, false},
		{"wildcard needs the dot", []string{"https://*.example.org"}, []string{"https://evilexample.org"}, false},
		{"wildcard keeps the scheme", []string{"https://*.example.org"}, []string{"http://a.example.org"}, false},
		{"user in front of the own host", none, []string{"https://evil.com@gw.example.com"}, false},
		{"own host in front of another", none, []string{"https://gw.example.com@evil.com"}, false},
		{"more than an origin", none, []string{"https://gw.example.com/path"}, false},
		{"trailing dot", none, []string{"https://gw.example.com."}, false},
		{"extension named like the host", none, []string{"chrome-extension://gw.example.com"}, false},
		{"wildcard as the end of a word", []string{"https://*.example.org"}, []string{"https://evil-example.org"}, false},
		{"wildcard behind a path", []string{"https://*.example.org"}, []string{"https://evil.com/.example.org"}, false},
		{"wildcard behind a backslash", []string{"https://*.example.org"}, []string{`https://evil.com\.example.org`}, false},
		{"listed extension", []string{"chrome-extension://abc"}, []string{"chrome-extension://abc"}, true},
		{"every origin", []string{"*"}, []string{"https://anywhere.example"}, true},
		{"listed application", []string{"capacitor://localhost"}, []string{"capacitor://localhost"}, true},
		{"another application", []string{"capacitor://localhost"}, []string{"ionic://localhost"}, false},
		{"opaque and listed", []string{"null"}, []string{"null"}, true},
		{"opaque, a file is listed", []string{"file://"}, []string{"null"}, false},
		{"file and listed", []string{"file://"}, []string{"file://"}, true},
		{"file, opaque is listed", []string{"null"}, []string{"file://"}, false},
		{"file", none, []string{"file://"}, false},
		{"file with a path", []string{"file://"}, []string{"file:///etc/hosts"}, false},
		{"opaque listed, another host", []string{"null"}, []string{"https://evil.example.com"}, false},
		{"every origin, opaque too", []string{"*"}, []string{"null"}, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o, err := transport.ParseOrigins(c.allowed)
			require.NoError(t, err)
			r := &http.Request{Host: "gw.example.com", Header: http.Header{"Origin": c.origin}}
			if c.origin == nil {
				r.Header.Del("Origin")
			}
			require.Equal(t, c.want, o.Allow(r))
		})
	}
}

func TestParseOriginsRefusesOtherPatterns(t *testing.T) {
	for _, p := range []string{"", "example.com", "https://", "https://a.com/path", "https://a.com?x", "https://u@a.com",
		"https://a.*.com", "https://*", "https://*.", "file:///", "nulls", "*://a.com"} {
		_, err := transport.ParseOrigins([]string{p})
		require.Error(t, err, p)
	}
}

func TestOriginsAllowWithAnyPort(t *testing.T) {
	for _, c := range []struct {
		name, host, origin string
		// without and with are whether the origin is allowed by default, and with any port.
		without, with bool
	}{
		{"a port that the Host lacks", "gw.example.com", "https://gw.example.com:8443", false, true},
		{"with the scheme of the connection", "gw.example.com", "wss://gw.example.com:8443", false, true},
		{"in other letters", "GW.example.com", "https://gw.Example.com:8443", false, true},
		{"no port at all", "gw.example.com", "https://gw.example.com", true, true},
		{"another port than the Host's", "gw.example.com:8443", "https://gw.example.com:9443", false, false},
		{"the Host's port", "gw.example.com:8443", "https://gw.example.com:8443", true, true},
		{"a Host with a port, an Origin without", "gw.example.com:8443", "https://gw.example.com", false, false},
		{"another host", "gw.example.com", "https://evil.example.com:8443", false, false},
		{"a host that ends alike", "gw.example.com", "https://evilgw.example.com:8443", false, false},
		{"an extension", "gw.example.com", "chrome-extension://gw.example.com:8443", false, false},
		{"IPv6", "[2001:db8::1]", "https://[2001:db8::1]:8443", false, true},
		{"another IPv6 address", "[2001:db8::1]", "https://[2001:db8::2]:8443", false, false},
		{"an IPv6 address that begins alike", "[2001:db8::1]", "https://[2001:db8::1:8443]", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := transport.ParseOrigins(nil)
			require.NoError(t, err)
			r := &http.Request{Host: c.host, Header: http.Header{"Origin": {c.origin}}}
			require.Equal(t, c.without, o.Allow(r))
			require.Equal(t, c.with, o.WithAnyPort().Allow(r))
		})
	}
}
