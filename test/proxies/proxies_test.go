package proxies_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/test/process"
)

// Flags of gateways behind a proxy that sets the cookie, behind one that does not, and behind Apache.
var (
	proxySets   = []string{"--" + contract.KeyAffinityCookie, "wsfleet"}
	gatewaySets = append([]string{"--" + contract.KeyAffinityCookieValue, "{name}"}, proxySets...)
	apacheRoute = []string{"--" + contract.KeyAffinityCookie, "ROUTEID", "--" + contract.KeyAffinityCookieValue, ".{name}"}
)

// replace returns a function that replaces one text by another.
func replace(before, after string) func(string) string {
	return func(block string) string { return strings.Replace(block, before, after, 1) }
}

const haproxyCookie = "cookie wsfleet insert indirect nocache preserve\n"

func TestProxies(t *testing.T) {
	binary := process.Build(t)
	for _, c := range []struct {
		name   string
		proxy  proxy
		change func(string) string
		flags  []string
	}{
		{"HAProxy", haproxy, nil, proxySets},
		{"HAProxy with a dynamic cookie", haproxy,
			replace(haproxyCookie, strings.TrimSpace(haproxyCookie)+" dynamic\n  dynamic-cookie-key secret\n"), proxySets},
		{"HAProxy with the gateway's cookie", haproxy, replace(haproxyCookie, "cookie wsfleet\n"), gatewaySets},
		{"nginx", nginx, nil, gatewaySets},
		{"Apache", apache, nil, apacheRoute},
		{"Caddy", caddy, nil, proxySets},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, binary, c.proxy, c.change, c.flags...)
			f.requireAffinity(t)
			f.requireAddress(t)
			f.requireRollout(t)
		})
	}
}

// requireAffinity checks that clients with a cookie jar come back to their gateway, and that both gateways get clients.
func (f *fleet) requireAffinity(t *testing.T) {
	t.Helper()
	used := map[string]bool{}
	require.Eventually(t, func() bool {
		name, err := f.newVisitor(t).visit(t.Context())
		used[name] = used[name] || err == nil
		return used["gw-0"] && used["gw-1"]
	}, waitTimeout, 20*time.Millisecond)
	used = map[string]bool{}
	for range clients {
		v := f.newVisitor(t)
		first, err := v.visit(t.Context())
		require.NoError(t, err)
		used[first] = true
		for range 3 {
			again, err := v.visit(t.Context())
			require.NoError(t, err)
			require.Equal(t, first, again, "the cookie leads back")
		}
	}
	require.Len(t, used, 2, "not all at the same gateway")
}

// requireAddress checks that the gateway knows the client's address.
func (f *fleet) requireAddress(t *testing.T) {
	t.Helper()
	c, name, err := f.newVisitor(t).dial(t.Context())
	require.NoError(t, err)
	for _, g := range f.gateways {
		if g.Name == name {
			require.Contains(t, addresses(t, g), clientIP)
		}
	}
	require.NoError(t, c.CloseNow())
}

// addresses returns the addresses of a gateway's clients.
func addresses(t *testing.T, g *process.Gateway) []string {
	t.Helper()
	response, err := http.Get("http://" + g.AdminAddr + contract.PathConnections)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	var list struct{ Connections []struct{ RemoteIP string } }
	require.NoError(t, json.NewDecoder(response.Body).Decode(&list))
	var all []string
	for _, c := range list.Connections {
		all = append(all, c.RemoteIP)
	}
	return all
}

// requireRollout replaces one gateway, in which no attempt fails, and kills the other one.
func (f *fleet) requireRollout(t *testing.T) {
	t.Helper()
	began := time.Now()
	c := f.connect(t)
	c.awaitAt(t, "gw-0 gw-1")
	require.NoError(t, f.gateways[0].Stop())
	c.awaitAt(t, "gw-1")
	require.Zero(t, c.failed.Load(), "a planned drain is not noticed")
	require.Zero(t, c.ended(-1), "every client got a close frame")
	require.NotZero(t, c.ended(websocket.StatusServiceRestart))

	require.NoError(t, f.gateways[0].Restart())
	require.Eventually(t, func() bool {
		name, err := f.newVisitor(t).visit(t.Context())
		return err == nil && name == "gw-0"
	}, waitTimeout, 20*time.Millisecond, "the proxy has noticed the new gateway")
	require.Zero(t, c.failed.Load(), "a new gateway takes part")

	t.Logf("drained and replaced after %v", time.Since(began).Round(time.Second))
	killed := time.Now()
	f.gateways[1].Kill()
	c.awaitAt(t, "gw-0")
	t.Logf("a gateway was killed: all clients are back after %v, %d attempts failed",
		time.Since(killed).Round(time.Millisecond), c.failed.Load())
	require.Less(t, time.Since(killed), waitTimeout/2)
	c.leave()
}

// HAProxy passes on the stream and names the client in front of it.
func TestProxyProtocolOfHAProxy(t *testing.T) {
	binary := process.Build(t)
	for _, send := range []string{"send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options unique-id,crc32c"} {
		t.Run(send, func(t *testing.T) {
			t.Parallel()
			gateways := startGateways(t, binary, "--"+contract.KeyProxyProtocol, contract.ProxyProtocolRequired,
				"--"+contract.KeyDrainTimeout, "0s", "--"+contract.KeyDrainPropagationDelay, "0s")
			port := redistest.FreePort(t)
			haproxy.start(t, "defaults\n  mode tcp\n  timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n"+
				"listen clients\n  bind 127.0.0.1:"+strconv.Itoa(port)+"\n  unique-id-format %{+X}o%ci:%cp\n"+
				"  server gw-0 "+gateways[0].Addr+" check inter 200ms check-send-proxy "+send+"\n", port)
			f := &fleet{gateways: gateways, url: "ws://127.0.0.1:" + strconv.Itoa(port) + contract.PathPlain + "?channel=a"}
			f.requireAddress(t)
		})
	}
}
