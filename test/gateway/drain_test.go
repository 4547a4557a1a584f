package gateway_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/contract"
)

func quickDrain(cfg *config.Config) {
	cfg.DrainTimeout, cfg.DrainPropagationDelay = 3*time.Second, time.Second
	cfg.AffinityCookie, cfg.AffinityCookiePath = "wsc-abc", "/chat"
}

func TestDrainClosesConnectionsAndEnds(t *testing.T) {
	t.Parallel()
	// Time for a late handshake before the gateway refuses handshakes, and for a refused one before the end.
	g := start(t, quickDrain,
		func(cfg *config.Config) { cfg.DrainTimeout, cfg.DrainPropagationDelay = 8*time.Second, 3*time.Second })
	plain, centrifuge := g.dial(t, "/ws?channel=a"), g.connect(t)
	stubborn := g.dialTCP(t, "/ws?channel=a")
	require.NoError(t, stubborn.SetDeadline(time.Now().Add(2*waitTimeout)))
	g.Terminate("SIGTERM", false)
	require.Equal(t, http.StatusServiceUnavailable, g.admin(t, "GET", "/readyz").status)
	require.Equal(t, http.StatusOK, g.admin(t, "GET", "/livez").status)
	late := g.dial(t, "/ws?channel=a")
	late.text("still works")
	late.expect("still works")

	// After the delay the gateway refuses handshakes and expires the affinity cookie.
	require.Eventually(t, func() bool {
		_, response, err := g.tryDial(t, "/ws?channel=a")
		if err == nil || response == nil {
			return false
		}
		cookie := response.Header.Get("Set-Cookie")
		return response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == "1" &&
			strings.HasPrefix(cookie,
				"wsc-abc=;") && strings.Contains(cookie, "Path=/chat") && strings.Contains(cookie, "Max-Age=0")
	}, waitTimeout, 500*time.Millisecond)
	plain.closed(1012, "service restart")
	centrifuge.closed(3001, "shutdown")
	late.closed(1012, "service restart")
	// This client never answers its close frame. The drain of the others did not wait for it.
	for {
		first, payload := stubborn.frame()
		if first == 0x88 {
			require.Equal(t, 1012, int(payload[0])<<8|int(payload[1]))
			break
		}
	}
	g.ended(t)
	require.Equal(t, contract.StateDrained, g.Report().State)
	require.GreaterOrEqual(t, g.Report().Drain.Closed, 4)
	require.Zero(t, g.Report().Drain.Forced)
}

func TestDrainDoesNotWaitForAClientThatNeverReads(t *testing.T) {
	t.Parallel()
	g := start(t, quickDrain, func(cfg *config.Config) { cfg.MaxQueuedBytes = 64 << 20 })
	full := g.dialTCP(t, "/ws?channel=a")
	quick := g.dial(t, "/ws?channel=a")
	quick.sendUntil(func() bool {
		var list struct{ Connections []struct{ QueuedBytes int } }
		g.admin(t, "GET", "/connections").json(t, &list)
		for _, c := range list.Connections {
			if c.QueuedBytes > 200<<10 {
				return true
			}
		}
		return false
	})
	g.Terminate("SIGTERM", false)
	quick.closed(1012, "service restart")
	g.ended(t)
	_ = full
}

func TestDrainAndUndrainOverTheAdminPort(t *testing.T) {
	t.Parallel()
	g := start(t)
	c := g.dial(t, "/ws?channel=a")
	base := "http://" + g.AdminAddr()
	got := request(t, "POST", base+"/drain", `{"reason":"scale-in","timeoutSeconds":3600}`)
	require.Equal(t, http.StatusAccepted, got.status, got.body)
	var report contract.GatewayReport
	got.json(t, &report)
	require.Equal(t, contract.StateDraining, report.State)
	require.Equal(t, "scale-in", report.Drain.Reason)
	require.InDelta(t, time.Hour, report.Drain.Deadline.Sub(report.Drain.StartedAt), float64(time.Second))
	require.InDelta(t, 1, g.metric(t, "websocket_drain_state", "state", "draining"), 0)

	var second contract.GatewayReport
	request(t, "POST", base+"/drain", `{"timeoutSeconds":1}`).json(t, &second)
	require.Equal(t, report.Drain.Deadline, second.Drain.Deadline, "a drain under way keeps its deadline")

	require.Equal(t, http.StatusOK, g.admin(t, "POST", "/undrain").status)
	require.Equal(t, http.StatusOK, g.admin(t, "GET", "/readyz").status)
	c.text("x")
	c.expect("x")

	require.Equal(t, http.StatusMethodNotAllowed, g.admin(t, "GET", "/drain").status)

	g.Terminate("SIGTERM", false)
	got = g.admin(t, "POST", "/undrain")
	require.Equal(t, http.StatusConflict, got.status)
	require.Contains(t, got.body, "process is ending")
}

// The code is for clients of the plain protocol. Centrifuge's SDKs have codes of their own.
func TestDrainClosesWithTheConfiguredCode(t *testing.T) {
	t.Parallel()
	for _, code := range []int{1001, 1012, 4000} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			g := start(t, func(cfg *config.Config) { cfg.DrainTimeout, cfg.DrainCloseCode = 0, code })
			plain, centrifuge := g.dial(t, "/ws?channel=a"), g.connect(t)
			g.Terminate("SIGTERM", false)
			plain.closed(code, "service restart")
			centrifuge.closed(3001, "shutdown")
			g.ended(t)
		})
	}
}

// A gateway with the memory broker knows of no other one. The operator tells it.
func TestDrainIsToldThatAnotherGatewayServes(t *testing.T) {
	t.Parallel()
	g := start(t, func(cfg *config.Config) { cfg.DrainTimeout, cfg.DrainPropagationDelay = time.Hour, 2*waitTimeout })
	drainURL := "http://" + g.AdminAddr() + "/drain"
	told := `{"handOver":true,"joinOnly":true}`
	got := request(t, "POST", drainURL, told)
	require.Equal(t, http.StatusConflict, got.status)
	require.Contains(t, got.body, "no drain to join")
	require.Equal(t, contract.StateServing, g.Report().State)

	g.Terminate("SIGTERM", false)
	require.Equal(t, http.StatusOK, g.admin(t, "GET", "/readyz").status)
	require.True(t, g.Report().Drain.WaitsForAnother)
	g.dial(t, "/ws?channel=a")
	require.Equal(t, http.StatusAccepted, request(t, "POST", drainURL, told).status)
	require.Equal(t, http.StatusServiceUnavailable, g.admin(t, "GET", "/readyz").status)
	require.False(t, g.Report().Drain.WaitsForAnother)
	g.dial(t, "/ws?channel=a")
}

// The last gateway of a fleet serves on until another one does.
func TestLastGatewayThatDrainsWaitsForAnother(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t, "")
	slow := func(cfg *config.Config) { cfg.DrainTimeout, cfg.DrainPropagationDelay = time.Minute, 2*time.Second }
	last := start(t, onRedis(s, ""), slow)
	last.awaitMetric(t, 1, "websocket_broker_state", "state", "ready")
	early := last.dial(t, "/ws?channel=a")
	last.Terminate("SIGTERM", false)
	began := time.Now()
	for time.Since(began) < 5*time.Second { // longer than the propagation delay
		require.Equal(t, http.StatusOK, last.admin(t, "GET", "/readyz").status)
		last.dial(t, "/ws?channel=a")
		early.text("still served")
		early.expect("still served")
		time.Sleep(200 * time.Millisecond)
	}

	start(t, onRedis(s, ""), slow)
	require.Eventually(t, func() bool { return last.admin(t, "GET", "/readyz").status != http.StatusOK },
		waitTimeout, tick)
	last.dial(t, "/ws?channel=a") // load balancers have not noticed yet
	require.Eventually(t, func() bool {
		_, response, err := last.tryDial(t, "/ws?channel=a")
		return err != nil && response.StatusCode == http.StatusServiceUnavailable
	}, waitTimeout, tick)
}

func TestTerminateEndsAnIdleGatewayAtOnce(t *testing.T) {
	t.Parallel()
	g := start(t)
	g.Terminate("SIGINT", true)
	g.ended(t)
}

func TestRunClosesConnectionsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	g := start(t)
	c := g.dial(t, "/ws?channel=a")
	stubborn := g.dialTCP(t, "/ws?channel=a")
	g.Terminate("SIGTERM", false)
	g.stop()
	c.closed(1012, "service restart")
	g.ended(t)
	_ = stubborn
}

// A client that reconnects must not reach the gateway that has just closed its connection.
func TestRunRefusesHandshakesWhileItEnds(t *testing.T) {
	t.Parallel()
	g := start(t)
	c := g.dial(t, "/ws?channel=a")
	// This client does not answer its close frame, which keeps the gateway running for a moment.
	g.dialTCP(t, "/ws?channel=a")
	g.stop()
	c.closed(1012, "service restart")
	_, response, err := g.tryDial(t, "/ws?channel=a")
	require.Error(t, err)
	if response != nil {
		require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
		require.Equal(t, "1", response.Header.Get("Retry-After"))
	}
	g.ended(t)
}
