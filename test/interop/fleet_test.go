package interop

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/test/goclient"
	"github.com/wsfleet/wsfleet/test/process"
)

const (
	apiKey = "interop-test-key"
	jwtKey = "interop-test-secret-of-at-least-32-bytes"
)

// fleet is a fleet behind HAProxy.
type fleet struct {
	// public, leaving and full are the addresses of HAProxy's frontends: gateways that serve, one that will be drained,
	// and one that refuses.
	public, leaving, full string
	// drained is the gateway behind leaving.
	drained *process.Gateway
	api     *goclient.Client
	// serving is a gateway that stays.
	serving *process.Gateway
}

// startFleet runs the gateways and HAProxy until the test ends.
func startFleet(t *testing.T, origins ...string) *fleet {
	t.Helper()
	binary := process.Build(t)
	redis := redistest.Standalone(t, "")
	start := func(name string, flags ...string) *process.Gateway {
		return process.Start(t, binary, name, slices.Concat([]string{
			"--" + contract.KeyBroker, contract.BrokerRedis,
			"--" + contract.KeyRedisAddresses, redis.Addr(),
			"--" + contract.KeyAPIKey, apiKey,
			"--" + contract.KeyJWTKey, jwtKey,
			"--" + contract.KeyPingInterval, "2s",
			"--" + contract.KeyPongTimeout, "1900ms",
			"--" + contract.KeyTrustedProxies, "127.0.0.1/32",
			"--" + contract.KeyAllowedOrigins, strings.Join(origins, ","),
		}, flags)...)
	}
	a, b, d := start("a"), start("b"), start("d", "--"+contract.KeyMaxConnections, "1")
	c := start("c", "--"+contract.KeyDrainPropagationDelay, "1s", "--"+contract.KeyDrainTimeout, "8s")
	f := &fleet{drained: c, serving: a}
	f.api = &goclient.Client{URL: "http://" + a.Addr + "/api", Key: apiKey, HTTP: http.DefaultClient}
	f.startHAProxy(t, map[string]*process.Gateway{"A": a, "B": b, "C": c, "D": d})
	f.fill(t, d)
	return f
}

// startHAProxy runs HAProxy with its ports and the gateways' in the environment, and blocks until it accepts.
func (f *fleet) startHAProxy(t *testing.T, gateways map[string]*process.Gateway) {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		program = "/usr/sbin/haproxy"
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatal("HAProxy is not installed: run hack/install-deps.sh interop")
	}
	address := func() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(redistest.FreePort(t))) }
	f.public, f.leaving, f.full = address(), address(), address()
	env := []string{"PUBLIC=" + f.public, "LEAVING=" + f.leaving, "FULL=" + f.full}
	for name, g := range gateways {
		_, admin, err := net.SplitHostPort(g.AdminAddr)
		require.NoError(t, err)
		env = append(env, name+"="+g.Addr, name+"_ADMIN="+admin)
	}
	cmd := exec.CommandContext(context.Background(), program, "-db", "-f", "haproxy.cfg")
	cmd.Env = env
	cmd.Stderr = t.Output()
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for _, address := range []string{f.public, f.leaving, f.full} {
		redistest.Await(t, "HAProxy on "+address, func(ctx context.Context) error {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			return conn.Close()
		})
	}
}

// fill takes the only place of a gateway, so that it refuses all others.
func (f *fleet) fill(t *testing.T, g *process.Gateway) {
	t.Helper()
	newPeer(t, g.Addr, "occupied")
}

// disconnect closes the client of a channel with a code.
func (f *fleet) disconnect(ctx context.Context, channel, code string) error {
	id, err := f.connection(ctx, channel)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete,
		fmt.Sprintf("%s/connections/%s?code=%s&reason=%s", f.api.URL, id, code, url.QueryEscape("come back")), http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("X-API-Key", f.api.Key)
	response, err := f.api.HTTP.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the API answers %s", response.Status)
	}
	return nil
}

// connection returns the id of the only client in a channel that is no peer.
func (f *fleet) connection(ctx context.Context, channel string) (string, error) {
	var list struct {
		Connections []struct {
			ID       string   `json:"id"`
			Channels []string `json:"channels"`
		} `json:"connections"`
	}
	if err := f.api.Call(ctx, "connections", map[string]any{"channel": channel}, &list); err != nil {
		return "", err
	}
	for _, c := range list.Connections {
		if !slices.Contains(c.Channels, peerChannel) {
			return c.ID, nil
		}
	}
	return "", fmt.Errorf("no client in channel %s", channel)
}

// drain starts the drain of the gateway behind leaving.
func (f *fleet) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+f.drained.AdminAddr+contract.PathDrain,
		strings.NewReader(`{"reason":"interop","handOver":true}`))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s answers %s", contract.PathDrain, response.Status)
	}
	return nil
}
