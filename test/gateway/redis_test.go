package gateway_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/contract"
)

func onRedis(s *redistest.Server, password string) func(*config.Config) {
	return func(cfg *config.Config) {
		cfg.Broker, cfg.RedisAddresses, cfg.RedisPassword, cfg.APIKey = contract.BrokerRedis, []string{
			s.Addr()}, password, key
	}
}

func TestRedisConnectsGatewaysThatSurviveItsLoss(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t, "secret")
	one, two := start(t, onRedis(s, "secret")), start(t, onRedis(s, "secret"))
	one.awaitMetric(t, 1, "websocket_broker_state", "state", "ready")
	two.awaitMetric(t, 1, "websocket_broker_state", "state", "ready")

	a, b := one.dial(t, "/ws?channel=lobby"), two.dial(t, "/ws?channel=lobby")
	c := two.connect(t)
	c.text(`{"id":2,"subscribe":{"channel":"lobby"}}`)
	c.expect(`{"id":2,"subscribe":{}}`)
	talk := func(text string) {
		t.Helper()
		a.text(text)
		a.expect(text)
		b.expect(text)
		c.expectPublished("lobby", `"`+text+`"`)
	}
	talk("hello")

	s.Stop()
	for _, g := range []*testGateway{one, two} {
		g.awaitMetric(t, 1, "websocket_broker_state", "state", "degraded")
		require.Equal(t, http.StatusOK, g.admin(t, "GET", "/readyz").status, "clients must stay where they are")
		require.Equal(t, http.StatusOK, g.admin(t, "GET", "/livez").status)
		require.Equal(t, contract.BrokerDegraded, g.Report().Broker.State)
		require.Equal(t, contract.BrokerUnreachable, g.Report().Broker.Reason)
		require.NotEmpty(t, g.Report().Broker.Error)
	}
	c.text(`{"id":3,"publish":{"channel":"lobby","data":1}}`)
	c.expect(`{"id":3,"error":{"code":100,"message":"the gateway cannot reach its broker","temporary":true}}`)
	a.text("lost")
	one.awaitMetric(t, 1, "websocket_publish_errors_total", "reason", "unavailable")
	require.Contains(t, one.api(t, "POST", "publish", `{"channel":"lobby","data":1}`, "X-API-Key", key).body, `"code":100`)
	require.InDelta(t, 2, two.metric(t, "websocket_connections"), 0, "no client was disconnected")

	s.Start()
	for _, g := range []*testGateway{one, two} {
		g.awaitMetric(t, 1, "websocket_broker_state", "state", "ready")
	}
	subscribed(t, s, "wsfleet:c:lobby", 2)
	talk("again")
	require.NotContains(t, one.log.String(), "secret")
}

// subscribed waits until a number of gateways are subscribed to a channel in Redis.
func subscribed(t *testing.T, s *redistest.Server, name string, gateways int64) {
	t.Helper()
	client := s.Client()
	defer func() { require.NoError(t, client.Close()) }()
	require.Eventually(t, func() bool {
		n, err := client.PubSubNumSub(t.Context(), name).Result()
		return err == nil && n[name] == gateways
	}, waitTimeout, tick)
}

func TestRedisIsNeededForReadinessAtTheStart(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t, "secret")
	g := start(t, onRedis(s, "wrong"))
	require.Eventually(t, func() bool {
		return g.Report().Broker.Reason == contract.BrokerCredentialsRefused
	}, waitTimeout, tick)
	require.NotEmpty(t, g.Report().Broker.Error)
	require.Equal(t, contract.BrokerConnecting, g.Report().Broker.State)
	require.NotContains(t, g.Report().Broker.Error, "wrong")
	require.Eventually(t, func() bool {
		return strings.Contains(g.log.String(), "check redis-addresses, redis-username and redis-password")
	}, waitTimeout, tick)
	got := g.admin(t, "GET", "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, got.status)
	require.Contains(t, got.body, "waiting for the broker")
	require.Equal(t, http.StatusOK, g.admin(t, "GET", "/livez").status)

	_, response, err := g.tryDial(t, "/ws?channel=a")
	require.Error(t, err)
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.NotEmpty(t, response.Header.Get("Retry-After"))
	g.awaitMetric(t, 1, "websocket_refused_total", "reason", "broker")
}

// A frame of many commands waits for the broker many times. The end of the connection must end this, or the process
// could not end.
func TestRedisCommandsEndWithTheirConnection(t *testing.T) {
	t.Parallel()
	// Its system accepts connections, and it answers none.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, silent.Close()) }()
	g := start(t, quickDrain, func(cfg *config.Config) {
		cfg.Broker, cfg.RedisAddresses = contract.BrokerRedis, []string{silent.Addr().String()}
	})
	c := g.connect(t)
	var frame strings.Builder
	for i := range 20 {
		fmt.Fprintf(&frame, `{"id":%d,"subscribe":{"channel":"c%d"}}`+"\n", i+2, i)
	}
	c.text(frame.String())
	g.awaitMetric(t, 20, "websocket_channels")
	g.Terminate("SIGTERM", false)
	c.closed(3001, "shutdown")
	g.ended(t)
}

func TestRedisSubscriptionEndsAfterTheLastSubscriber(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t, "")
	g := start(t, onRedis(s, ""))
	g.awaitMetric(t, 1, "websocket_broker_state", "state", "ready")
	c := g.dial(t, "/ws?channel=lobby")
	subscribed(t, s, "wsfleet:c:lobby", 1)
	require.NoError(t, c.CloseNow())
	subscribed(t, s, "wsfleet:c:lobby", 0)
	g.awaitMetric(t, 0, "websocket_channels")
}
