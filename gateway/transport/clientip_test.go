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

func TestClientIPReadsForwarded(t *testing.T) {
	const proxy = "10.1.1.1"
	cases := []struct {
		name         string
		peer         string
		forwarded    []string
		forwardedFor []string
		want         string
	}{
		{"address", proxy, []string{"for=203.0.113.7"}, nil, "203.0.113.7"},
		{"untrusted peer", "198.51.100.1", []string{"for=203.0.113.7"}, nil, "198.51.100.1"},
		{"all parameters", proxy, []string{`proto=https; FOR=203.0.113.7 ;by="[fd00::1]:80";host=a`}, nil, "203.0.113.7"},
		{"IPv6 in quotes", proxy, []string{`for="[2001:db8::1]"`}, nil, "2001:db8::1"},
		{"IPv6 with port", proxy, []string{`For="[2001:db8:cafe::17]:4711"`}, nil, "2001:db8:cafe::17"},
		{"IPv6 with a hidden port", proxy, []string{`for="[2001:db8::1]:_p0rt"`}, nil, "2001:db8::1"},
		{"IPv4 with port", proxy, []string{`for="203.0.113.7:80"`}, nil, "203.0.113.7"},
		{"IPv4 with a hidden port", proxy, []string{`for="203.0.113.7:_x"`}, nil, "203.0.113.7"},
		{"colon without quotes", proxy, []string{"for=203.0.113.7:80"}, nil, "203.0.113.7"},
		{"escapes", proxy, []string{`for="203.0\.113.7"`}, nil, "203.0.113.7"},
		{"unknown", proxy, []string{"for=unknown"}, nil, proxy},
		{"hidden", proxy, []string{"for=_hidden"}, nil, proxy},
		{"no address", proxy, []string{"proto=https"}, nil, proxy},
		{"several proxies", proxy, []string{"for=1.1.1.1, for=203.0.113.7;proto=https, for=10.2.2.2"}, nil, "203.0.113.7"},
		{"several headers", proxy, []string{"for=1.1.1.1", "for=203.0.113.7", "for=10.2.2.2"}, nil, "203.0.113.7"},
		{"claims left of a hidden one", proxy, []string{"for=1.1.1.1, for=_x, for=10.2.2.2"}, nil, "10.2.2.2"},
		{"separators in quotes", proxy, []string{`for=203.0.113.7;host="a,for=1.1.1.1;b"`}, nil, "203.0.113.7"},
		{"escaped quote in quotes", proxy, []string{`host="a\",for=1.1.1.1";for=203.0.113.7`}, nil, "203.0.113.7"},
		{"empty elements", proxy, []string{", for=203.0.113.7 ,, "}, nil, "203.0.113.7"},
		{"empty parameters", proxy, []string{";for=203.0.113.7;"}, nil, "203.0.113.7"},
		{"empty header", proxy, []string{""}, nil, proxy},
		{"two addresses in one element", proxy, []string{"for=1.1.1.1;for=203.0.113.7"}, nil, proxy},
		{"quote that the client left open", proxy, []string{`for="1.1.1.1, for=203.0.113.7`}, nil, proxy},
		{"quote that the proxy closes", proxy, []string{`for="1.1.1.1, for="[2001:db8::1]"`}, nil, proxy},
		{"quote behind a value", proxy, []string{`for=203.0.113.7"`}, nil, proxy},
		{"open quote in another header", proxy, []string{`for="1.1.1.1`, "for=203.0.113.7"}, nil, "203.0.113.7"},
		{"quote that the client left open as a name", proxy, []string{`for="[::1]";", for=203.0.113.7`}, nil, proxy},
		{"quote in a name", proxy, []string{`for=1.1.1.1;a"b=c, for=203.0.113.7`}, nil, proxy},
		{"quote alone", proxy, []string{`for=1.1.1.1;", for=203.0.113.7`}, nil, proxy},
		{"no parameter", proxy, []string{"203.0.113.7"}, nil, proxy},
		{"X-Forwarded-For wins", proxy, []string{"for=1.1.1.1"}, []string{"203.0.113.7"}, "203.0.113.7"},
		{"X-Forwarded-For wins although it is garbage", proxy, []string{"for=1.1.1.1"}, []string{"unknown"}, proxy},
		{"X-Forwarded-For without entries", proxy, []string{"for=203.0.113.7"}, []string{" , "}, "203.0.113.7"},
	}
	p, err := transport.ParseProxies([]string{"10.0.0.0/8"})
	require.NoError(t, err)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{
				RemoteAddr: c.peer + ":1",
				Header:     http.Header{"Forwarded": c.forwarded, "X-Forwarded-For": c.forwardedFor},
			}
			require.Equal(t, c.want, p.ClientIP(r).String())
		})
	}
}

// FuzzForwarded checks that a client's own elements never win over the one that the proxy appends.
func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{
		"", "for=1.1.1.1", `for="1.1.1.1`, `for="[::1]:_x";by=a`, `a="\`, `for="\",for=`, `for="[::]";"`,
	} {
		f.Add(seed)
	}
	p, err := transport.ParseProxies([]string{"10.0.0.0/8"})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, claim string) {
		for _, appended := range []string{"for=203.0.113.7", `for="203.0.113.7:80";proto=https`} {
			r := &http.Request{RemoteAddr: "10.1.1.1:1", Header: http.Header{"Forwarded": {claim + ", " + appended}}}
			got := p.ClientIP(r).String()
			require.Contains(t, []string{"203.0.113.7", "10.1.1.1"}, got)
			r.Header["Forwarded"] = []string{claim, appended}
			require.Equal(t, "203.0.113.7", p.ClientIP(r).String())
		}
	})
}
