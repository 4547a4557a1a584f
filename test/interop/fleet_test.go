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
	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/test/goclient"
	"github.com/wsfleet/wsfleet/test/process"
)

const (
	apiKey = "interop-test-key"
	jwtKey = "interop-test-secret-of-at-least-32-bytes"
)

// drainCodes are the codes that drains send to plain clients (drain-close-code), each by a gateway of its own.
var drainCodes = []string{"1012", codeConfigured, "1001", "1013"}

// fleet is a fleet behind HAProxy.
type fleet struct {
	// public and full are the addresses of HAProxy's frontends for gateways that serve, and for one that refuses.
	public, full string
	// leaving are the gateways that will be drained, by the close code of their drains.
	leaving map[string]*leaving
	// serving is a gateway that stays.
	serving *process.Gateway
	api     *goclient.Client
}

// leaving is a gateway that will be drained, and the address of its frontend.
type leaving struct {
	gateway *process.Gateway
	address string
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
	f := &fleet{serving: a, leaving: map[string]*leaving{}}
	gateways := map[string]*process.Gateway{"A": a, "B": b, "D": d}
	for _, code := range drainCodes {
		g := start("drain-"+code,
			"--"+contract.KeyDrainCloseCode, code,
			"--"+contract.KeyDrainPropagationDelay, "1s",
			"--"+contract.KeyDrainTimeout, "8s")
		f.leaving[code] = &leaving{gateway: g}
		gateways["DRAIN_"+code] = g
	}
	f.api = &goclient.Client{URL: "http://" + a.Addr + "/api", Key: apiKey, HTTP: http.DefaultClient}
	f.startHAProxy(t, gateways)
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
	var env, ports []string
	bind := func(variable string) string {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(redistest.FreePort(t)))
		env, ports = append(env, variable+"="+address), append(ports, address)
		return address
	}
	f.public, f.full = bind("PUBLIC"), bind("FULL")
	for code, l := range f.leaving {
		l.address = bind("LEAVING_" + code)
	}
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
	for _, address := range ports {
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

// drain starts the drains of all gateways that leave.
func (f *fleet) drain(ctx context.Context) error {
	var all errgroup.Group
	for _, l := range f.leaving {
		all.Go(func() error { return startDrain(ctx, l.gateway) })
	}
	return all.Wait()
}

func startDrain(ctx context.Context, g *process.Gateway) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+g.AdminAddr+contract.PathDrain,
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
