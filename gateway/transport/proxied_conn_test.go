package transport_test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

// proxyRefusals is an Observer that counts what the PROXY protocol refuses.
type proxyRefusals struct {
	discardObserver
	refused, timedOut atomic.Int64
}

func (o *proxyRefusals) ConnectionRefused(reason string) {
	switch reason {
	case "proxy_protocol":
		o.refused.Add(1)
	case "handshake_timeout":
		o.timedOut.Add(1)
	}
}

// The headers of the tests.
var (
	proxyHeaderV1 = "PROXY TCP4 203.0.113.7 10.1.1.1 4711 8080\r\n"
	proxyHeaderV2 = proxyHeader2(0x21, 0x11, "\xcb\x00\x71\x07\x0a\x01\x01\x01\x12\x67\x1f\x90\x05\x00\x02id")
)

func proxyHeader2(command, family byte, content string) string {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family)
	return string(binary.BigEndian.AppendUint16(b, uint16(len(content)))) + content
}

// tellIP returns a handler that sends the client's address to it.
func tellIP() *testHandler {
	h := newTestHandler()
	h.open = func(c transport.Conn) { c.Send(transport.NewFrame(transport.Text, []byte(c.RemoteIP().String()))) }
	return h
}

// behindProxy sets the mode, and trusts the test's own address or another one.
func behindProxy(
	t *testing.T, mode transport.ProxyProtocol, trusted string, seen transport.Observer,
) func(*transport.Options) {
	t.Helper()
	proxies, err := transport.ParseProxies([]string{trusted})
	require.NoError(t, err)
	return func(o *transport.Options) {
		o.MaxConnections, o.ProxyProtocol, o.Proxies, o.Observer = 1000, mode, proxies, seen
	}
}

// requireIP reads the response 101 and the message of tellIP.
func (p *rawClient) requireIP(want string) {
	p.t.Helper()
	status, _ := p.readResponse()
	require.Equal(p.t, http.StatusSwitchingProtocols, status)
	got := make([]byte, 2+len(want))
	_, err := io.ReadFull(p.in, got)
	require.NoError(p.t, err)
	require.Equal(p.t, want, string(got[2:]))
}

const (
	local    = "127.0.0.1"
	stranger = "10.0.0.0/8"
)

func TestProxyProtocol(t *testing.T) {
	const off, optional, required = transport.ProxyProtocolDisabled, transport.ProxyProtocolOptional,
		transport.ProxyProtocolRequired
	cases := []struct {
		name    string
		mode    transport.ProxyProtocol
		trusted string
		header  string
		// want is the client's address, or a part of the refusal, which has spaces.
		want string
	}{
		{"version 1", optional, local, proxyHeaderV1, "203.0.113.7"},
		{"version 2 with a TLV", optional, local, proxyHeaderV2, "203.0.113.7"},
		{"version 1, required", required, local, proxyHeaderV1, "203.0.113.7"},
		{"version 2, required", required, local, proxyHeaderV2, "203.0.113.7"},
		{"unknown", required, local, "PROXY UNKNOWN\r\n", local},
		{"local", required, local, proxyHeader2(0x20, 0, ""), local},
		{"unspecified", required, local, proxyHeader2(0x21, 0, "\x05\x00\x01x"), local},
		{"none", optional, local, "", local},
		{"none, required", required, local, "", "must begin with"},
		{"malformed", optional, local, "PROXY TCP4 x y 1 2\r\n", "is malformed"},
		{"two headers", optional, local, proxyHeaderV1 + proxyHeaderV2, "400 Bad Request"},
		{"version 1 of a stranger", optional, stranger, proxyHeaderV1, "127.0.0.1 is none of them"},
		{"version 2 of a stranger", required, stranger, proxyHeaderV2, "127.0.0.1 is none of them"},
		{"malformed by a stranger", required, stranger, "PROXY x\r\n", "127.0.0.1 is none of them"},
		{"stranger without a header", required, stranger, "", local},
		{"off", off, local, proxyHeaderV1, "set the gateway's proxy-protocol"},
		{"off, version 2", off, stranger, proxyHeaderV2, "set the gateway's proxy-protocol"},
		{"off, without a header", off, local, "", local},
	}
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				seen := &proxyRefusals{}
				_, url := serve(t, func(*http.Request) (transport.Handler, error) { return tellIP(), nil }, driver,
					behindProxy(t, c.mode, c.trusted, seen))
				// net/http answers the second request: its lines end without carriage returns.
				for _, request := range []string{upgrade, strings.ReplaceAll(upgrade, "\r\n", "\n")} {
					p := connect(t, url)
					p.write(c.header + request)
					if !strings.Contains(c.want, " ") {
						p.requireIP(c.want)
						require.Zero(t, seen.refused.Load())
						continue
					}
					status, body := p.readResponse()
					require.Equal(t, http.StatusBadRequest, status)
					require.Contains(t, "400 Bad Request "+body, c.want)
				}
				if strings.Contains(c.want, " ") && c.name != "two headers" {
					require.Eventually(t, func() bool { return seen.refused.Load() == 2 }, waitTimeout, time.Millisecond)
				}
			})
		}
	})
}

// The header may be cut anywhere, and the request may follow at once.
func TestProxyProtocolReadsHeadersInPieces(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		_, url := serve(t, func(*http.Request) (transport.Handler, error) { return tellIP(), nil }, driver,
			behindProxy(t, transport.ProxyProtocolRequired, local, discardObserver{}))
		for _, header := range []string{proxyHeaderV1, proxyHeaderV2} {
			for cut := 1; cut <= len(header); cut += 5 {
				p := connect(t, url)
				p.write(header[:cut])
				// Long enough for the first part to be read alone, most of the time.
				time.Sleep(time.Millisecond)
				p.write(header[cut:] + upgrade)
				p.requireIP("203.0.113.7")
			}
		}
	})
}

// The address of the header counts as that of the proxy in front: what it says in X-Forwarded-For is believed only if
// it is trusted itself.
func TestProxyProtocolComesBeforeForwardedFor(t *testing.T) {
	for source, want := range map[string]string{"203.0.113.7": "203.0.113.7", local: "198.51.100.9"} {
		_, url := serve(t, func(*http.Request) (transport.Handler, error) { return tellIP(), nil },
			behindProxy(t, transport.ProxyProtocolRequired, local, discardObserver{}))
		p := connect(t, url)
		p.write("PROXY TCP4 " + source + " 10.1.1.1 4711 8080\r\n" +
			strings.Replace(upgrade, "Host: x\r\n", "Host: x\r\nX-Forwarded-For: 198.51.100.9\r\n", 1))
		p.requireIP(want)
	}
}

func TestProxyProtocolClosesSilentProxies(t *testing.T) {
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		_, url := serve(t, func(*http.Request) (transport.Handler, error) { return tellIP(), nil }, driver,
			behindProxy(t, transport.ProxyProtocolRequired, local, discardObserver{}),
			func(o *transport.Options) { o.HandshakeTimeout = 200 * time.Millisecond })
		silent, slow := connect(t, url), connect(t, url)
		slow.write(proxyHeaderV2[:14])
		requireDisconnected(t, silent)
		requireDisconnected(t, slow)
	})
}

func TestProxyProtocolUnderTLS(t *testing.T) {
	onEveryTLSDriver(t, func(t *testing.T, serve func(func() *testHandler, ...func(*transport.Options)) tlsServer) {
		seen := &proxyRefusals{}
		s := serve(tellIP, behindProxy(t, transport.ProxyProtocolRequired, local, seen))
		for _, header := range []string{proxyHeaderV1, proxyHeaderV2} {
			for _, cut := range []int{1, 14, len(header)} {
				tcp := s.tcp(t)
				_, err := io.WriteString(tcp, header[:cut])
				require.NoError(t, err)
				time.Sleep(time.Millisecond)
				_, err = io.WriteString(tcp, header[cut:])
				require.NoError(t, err)
				requireTold(t, s.raw(t, tcp), "203.0.113.7")
			}
		}
		missing := newRawClient(t, s.tcp(t))
		require.Error(t, tls.Client(missing, s.config).Handshake())
		require.Eventually(t, func() bool { return seen.refused.Load() == 1 }, waitTimeout, time.Millisecond)

		open := serve(tellIP, behindProxy(t, transport.ProxyProtocolRequired, stranger, seen))
		requireTold(t, open.raw(t, open.tcp(t)), local)
		p := newRawClient(t, open.tcp(t))
		p.write(proxyHeaderV1)
		status, body := p.readResponse()
		require.Equal(t, http.StatusBadRequest, status)
		require.Contains(t, body, "trusted-proxies")
		require.Equal(t, int64(2), seen.refused.Load())

		slow := serve(tellIP, behindProxy(t, transport.ProxyProtocolRequired, local, seen),
			func(o *transport.Options) { o.HandshakeTimeout = 200 * time.Millisecond })
		silent := newRawClient(t, slow.tcp(t))
		silent.write(proxyHeaderV2[:14])
		requireDisconnected(t, silent)
		require.Equal(t, int64(1), seen.timedOut.Load())
	})
}

// requireTold reads the message of tellIP.
func requireTold(t *testing.T, c frameClient, want string) {
	t.Helper()
	got := make([]byte, 2+len(want))
	_, err := io.ReadFull(c.in, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got[2:]))
}

// A listener of another kind than TCP has no addresses that a header could replace.
func TestHandshakeListenerLeavesOtherListenersAlone(t *testing.T) {
	s := transport.NewServer(transport.Options{})
	defer s.Close()
	l, err := net.Listen("unix", t.TempDir()+"/socket")
	require.NoError(t, err)
	got, err := s.HandshakeListener(l, nil)
	require.NoError(t, err)
	require.Same(t, l, got)
	require.NoError(t, l.Close())
}
