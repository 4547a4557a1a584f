// Package proxies_test puts real proxies in front of two gateways, with the configuration of docs/proxies.md, and
// counts the clients that do not get through while gateways are drained, replaced and killed.
package proxies_test

import (
	"context"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/test/process"
)

const (
	// waitTimeout is the maximum time that a test waits for something.
	waitTimeout = 30 * time.Second
	// propagationDelay is the time in which a proxy must notice a drain, and drainTimeout that of the whole drain.
	propagationDelay = 4 * time.Second
	drainTimeout     = 6 * time.Second
	// clients is the number of clients with a cookie jar.
	clients = 8
	// clientIP is the address of the clients. It is not that of the proxies.
	clientIP = "127.0.0.2"
)

// startGateways runs two gateways, gw-0 and gw-1, which share a Redis and trust a proxy on this machine.
func startGateways(t *testing.T, binary string, flags ...string) [2]*process.Gateway {
	t.Helper()
	redis := redistest.Standalone(t, "")
	flags = append([]string{
		"--" + contract.KeyBroker, contract.BrokerRedis,
		"--" + contract.KeyRedisAddresses, redis.Addr(),
		"--" + contract.KeyTrustedProxies, "127.0.0.1",
		"--" + contract.KeyPublicHealth,
		"--" + contract.KeyDrainTimeout, drainTimeout.String(),
		"--" + contract.KeyDrainPropagationDelay, propagationDelay.String(),
	}, flags...)
	return [2]*process.Gateway{
		process.Start(t, binary, "gw-0", flags...), process.Start(t, binary, "gw-1", flags...),
	}
}

// fleet is two gateways behind a proxy.
type fleet struct {
	gateways [2]*process.Gateway
	url      string
}

// start runs gateways with these flags behind the proxy, whose documented configuration change may change.
func start(t *testing.T, binary string, p proxy, change func(block string) string, flags ...string) *fleet {
	t.Helper()
	f := &fleet{gateways: startGateways(t, binary, flags...)}
	port := redistest.FreePort(t)
	block := p.documented(t, port, f.gateways[0].Addr, f.gateways[1].Addr)
	if change != nil {
		changed := change(block)
		require.NotEqual(t, block, changed)
		block = changed
	}
	p.start(t, block, port)
	f.url = "ws://127.0.0.1:" + strconv.Itoa(port) + contract.PathPlain + "?channel=a"
	return f
}

// visitor is a client with a cookie jar.
type visitor struct {
	fleet *fleet
	web   *http.Client
}

// newVisitor returns a client without cookies.
func (f *fleet) newVisitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientIP)}}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}
	return &visitor{fleet: f, web: &http.Client{Jar: jar, Transport: transport}}
}

// dial connects. It returns the connection and the name of its gateway, or the error of the handshake.
func (v *visitor) dial(ctx context.Context) (c *websocket.Conn, gateway string, err error) {
	ctx, cancel := context.WithTimeout(ctx, waitTimeout)
	defer cancel()
	c, response, err := websocket.Dial(ctx, v.fleet.url, &websocket.DialOptions{HTTPClient: v.web})
	if err != nil {
		return nil, "", err
	}
	return c, response.Header.Get(contract.HeaderNode), nil
}

// visit connects and disconnects. It returns the name of the gateway, or the error of the handshake.
func (v *visitor) visit(ctx context.Context) (gateway string, err error) {
	c, gateway, err := v.dial(ctx)
	if err == nil {
		_ = c.CloseNow()
	}
	return gateway, err
}

// crowd is clients that stay connected: each that loses its connection comes back at once, or, when that fails, after
// a moment.
type crowd struct {
	// failed counts attempts that failed, and ends holds how many connections ended with each close code.
	failed atomic.Int64
	mu     sync.Mutex
	ends   map[websocket.StatusCode]int
	// at holds the gateway of each client, or an empty name while it is not connected.
	at []string

	stop    context.CancelFunc
	members sync.WaitGroup
}

// connect lets clients connect until the test ends, and newcomers without a cookie come and go.
func (f *fleet) connect(t *testing.T) *crowd {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &crowd{ends: map[websocket.StatusCode]int{}, at: make([]string, clients), stop: cancel}
	t.Cleanup(c.leave)
	for i := range clients {
		v := f.newVisitor(t)
		c.members.Go(func() { c.stay(ctx, v, i) })
	}
	c.members.Go(func() {
		for ctx.Err() == nil {
			if _, err := f.newVisitor(t).visit(ctx); err != nil && ctx.Err() == nil {
				c.fail(t, err)
			}
			pause(ctx, 20*time.Millisecond)
		}
	})
	return c
}

// stay keeps a client connected until ctx ends.
func (c *crowd) stay(ctx context.Context, v *visitor, i int) {
	for ctx.Err() == nil {
		conn, gateway, err := v.dial(ctx)
		if err != nil {
			c.failed.Add(1)
			pause(ctx, 100*time.Millisecond)
			continue
		}
		c.moved(i, gateway)
		_, _, err = conn.Read(ctx)
		_ = conn.CloseNow()
		if ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		c.ends[websocket.CloseStatus(err)]++
		c.mu.Unlock()
		c.moved(i, "")
	}
}

func (c *crowd) fail(t *testing.T, err error) {
	t.Helper()
	if c.failed.Add(1) <= 3 {
		t.Logf("a newcomer failed: %v", err)
	}
}

func (c *crowd) moved(i int, gateway string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at[i] = gateway
}

// awaitAt waits until all clients are connected to one of these gateways.
func (c *crowd) awaitAt(t *testing.T, gateways string) {
	t.Helper()
	require.Eventually(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, at := range c.at {
			if at == "" || !strings.Contains(gateways, at) {
				return false
			}
		}
		return true
	}, waitTimeout, 20*time.Millisecond, "all clients at "+gateways)
}

// ended returns how many connections ended with a code so far.
func (c *crowd) ended(code websocket.StatusCode) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ends[code]
}

// leave ends all clients and waits for them.
func (c *crowd) leave() {
	c.stop()
	c.members.Wait()
}

// pause waits for some time, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
