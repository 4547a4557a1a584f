package gateway_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// trustLoopback makes the test's own address that of a trusted proxy.
func trustLoopback(cfg *config.Config) { cfg.TrustedProxies = []string{"127.0.0.1"} }

// send writes bytes to a new connection to the public port, and returns the status of the answer.
func (r *testGateway) send(t *testing.T, bytes string) int {
	t.Helper()
	conn, err := net.Dial("tcp", r.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(waitTimeout)))
	_, err = io.WriteString(conn, bytes)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	return response.StatusCode
}

// remoteIPs returns the addresses of the open connections.
func (r *testGateway) remoteIPs(t *testing.T) []string {
	t.Helper()
	var list struct{ Connections []struct{ RemoteIP string } }
	r.admin(t, http.MethodGet, "/connections").json(t, &list)
	var ips []string
	for _, c := range list.Connections {
		ips = append(ips, c.RemoteIP)
	}
	return ips
}

const (
	proxyHeader = "PROXY TCP4 203.0.113.7 10.1.1.1 4711 8080\r\n"
	handshake   = "GET /ws?channel=a HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)

func TestGatewayReadsThePROXYProtocol(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{
		contract.ProxyProtocolDisabled, contract.ProxyProtocolOptional, contract.ProxyProtocolRequired,
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			g := start(t, trustLoopback, func(cfg *config.Config) { cfg.ProxyProtocol = mode })
			with, without := http.StatusSwitchingProtocols, http.StatusSwitchingProtocols
			if mode == contract.ProxyProtocolDisabled {
				with = http.StatusBadRequest
			}
			if mode == contract.ProxyProtocolRequired {
				without = http.StatusBadRequest
			}
			require.Equal(t, without, g.send(t, handshake+"\r\n"))
			require.Equal(t, with, g.send(t, proxyHeader+handshake+"\r\n"))
			refused := 0.0
			if with != without {
				refused = 1
			}
			g.awaitMetric(t, refused, "websocket_refused_total", "reason", "proxy_protocol")
			if with == http.StatusSwitchingProtocols {
				require.Contains(t, g.remoteIPs(t), "203.0.113.7")
			}
		})
	}
}

func TestGatewayReadsForwarded(t *testing.T) {
	t.Parallel()
	g := start(t, trustLoopback)
	require.Equal(t, http.StatusSwitchingProtocols, g.send(t, handshake+"Forwarded: for=\"[2001:db8::1]\"\r\n\r\n"))
	require.Equal(t, []string{"2001:db8::1"}, g.remoteIPs(t))
}

// A proxy that ends WebSockets over HTTP/2 sends the same key for all of its clients, and Apache sends a length.
func TestGatewayAcceptsHandshakesOfProxies(t *testing.T) {
	t.Parallel()
	g := start(t)
	for _, line := range []string{"", "Content-Length: 0\r\n", "content-length:0\r\nVia: 2.0 proxy\r\n"} {
		require.Equal(t, http.StatusSwitchingProtocols, g.send(t, handshake+line+"\r\n"), line)
	}
	require.Len(t, g.remoteIPs(t), 3)
	require.Equal(t, http.StatusBadRequest, g.send(t, handshake+"Content-Length: 1\r\n\r\nx"))
	// One request with two keys is malformed, RFC 6455 section 11.3.1.
	require.Equal(t, http.StatusBadRequest, g.send(t, handshake+"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"))
}

func TestGatewayAllowsTheOriginOnAnyPort(t *testing.T) {
	t.Parallel()
	request := handshake + "Origin: https://x:8443\r\n\r\n"
	require.Equal(t, http.StatusForbidden, start(t).send(t, request))
	g := start(t, func(cfg *config.Config) { cfg.OriginAnyPort = true })
	require.Equal(t, http.StatusSwitchingProtocols, g.send(t, request))
	require.Equal(t, http.StatusForbidden, g.send(t, handshake+"Origin: https://y:8443\r\n\r\n"))
}

func TestGatewayAnswersHealthChecksOnThePublicPort(t *testing.T) {
	t.Parallel()
	closed := start(t)
	g := start(t, func(cfg *config.Config) {
		cfg.PublicHealth, cfg.DrainTimeout, cfg.DrainPropagationDelay = true, time.Minute, 0
	})
	base := "http://" + g.Addr()
	for _, path := range []string{contract.PathLivez, contract.PathReadyz} {
		require.Equal(t, http.StatusNotFound, request(t, http.MethodGet, "http://"+closed.Addr()+path, "").status, path)
		require.Equal(t, http.StatusOK, request(t, http.MethodGet, base+path, "").status, path)
		require.Equal(t, http.StatusOK, request(t, http.MethodHead, base+path, "").status, path)
		require.Equal(t, http.StatusMethodNotAllowed, request(t, http.MethodPost, base+path, "").status, path)
	}
	require.JSONEq(t, `{"status":"ready"}`, request(t, http.MethodGet, base+contract.PathReadyz, "").body)
	for _, guarded := range []string{contract.PathFleet, contract.PathMetrics, contract.PathDrain, "/readyz/"} {
		require.Equal(t, http.StatusNotFound, request(t, http.MethodGet, base+guarded, "").status, guarded)
	}

	g.dial(t, "/ws?channel=a")
	drain := request(t, http.MethodPost, "http://"+g.AdminAddr()+contract.PathDrain, `{"handOver":true}`)
	require.Equal(t, http.StatusAccepted, drain.status)
	answer := request(t, http.MethodGet, base+contract.PathReadyz, "")
	require.Equal(t, http.StatusServiceUnavailable, answer.status)
	require.JSONEq(t, `{"status":"not ready"}`, answer.body)
	require.Equal(t, http.StatusOK, request(t, http.MethodGet, base+contract.PathLivez, "").status)
}

func TestGatewayKeepsHTTPConnectionsOpen(t *testing.T) {
	t.Parallel()
	require.Greater(t, config.Default().HTTPIdleTimeout, time.Minute, "longer than most load balancers")
	const idle = 300 * time.Millisecond
	g := start(t, func(cfg *config.Config) { cfg.HTTPIdleTimeout = idle })
	conn, err := net.Dial("tcp", g.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(waitTimeout)))
	in := bufio.NewReader(conn)
	var answered time.Time
	for range 3 {
		_, err = io.WriteString(conn, "GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		response, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		answered = time.Now()
	}
	_, err = in.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	require.Greater(t, time.Since(answered), idle/2)
}

func TestGatewaySetsTheAffinityCookie(t *testing.T) {
	t.Parallel()
	cookie := func(value string) func(cfg *config.Config) {
		return func(cfg *config.Config) { cfg.AffinityCookie, cfg.AffinityCookieValue = "ROUTEID", value }
	}
	for value, want := range map[string]string{
		"": "", ".{name}": "ROUTEID=.node-1; Path=/; HttpOnly", "{name}": "ROUTEID=node-1; Path=/; HttpOnly",
	} {
		g := start(t, cookie(value))
		_, response, err := g.tryDial(t, "/ws?channel=a")
		require.NoError(t, err)
		require.Equal(t, want, response.Header.Get("Set-Cookie"))
	}
}
