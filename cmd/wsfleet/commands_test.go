package main

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// reportOf returns the report of a gateway that serves and has a backplane in a state.
func reportOf(state contract.BrokerState) contract.GatewayReport {
	return contract.GatewayReport{
		State:  contract.StateServing,
		Broker: contract.BrokerReport{Kind: contract.BrokerRedis, State: state},
	}
}

// withJSON returns a handler that counts its calls, and answers with a status and JSON.
func withJSON(calls *atomic.Int32, status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// One gateway carries a command to the others over the backplane. It is one that reaches the backplane, where there is
// one.
func TestCommandsGoToOneGatewayOfABackplane(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 4)
	var degraded, ready atomic.Int32
	api.putPod("chat", "chat-gateway-1")
	api.putFakeGateway("chat", "chat-gateway-2", reportOf(contract.BrokerDegraded), map[string]http.HandlerFunc{
		contract.PathAPI: withJSON(&degraded, http.StatusOK, `{"result":{}}`),
	})
	published := map[string]http.HandlerFunc{contract.PathAPI: withJSON(&ready, http.StatusOK, `{"result":{"offset":7}}`)}
	api.putFakeGateway("chat", "chat-gateway-3", reportOf(contract.BrokerReady), published)
	api.putFakeGateway("chat", "chat-gateway-4", reportOf(contract.BrokerReady), published)
	out := succeed(t, plugin(t, api, "publish", "news", "1")).stdout
	assert.Contains(t, out, "published to news at offset 7")
	assert.EqualValues(t, 1, ready.Load())
	assert.Zero(t, degraded.Load())

	api.remove("pods/chat-gateway-3")
	api.remove("pods/chat-gateway-4")
	succeed(t, plugin(t, api, "publish", "news", "1"))
	assert.EqualValues(t, 1, degraded.Load(), "it may be back")
}

// A client must be closed also while a gateway that does not answer keeps its connections from being counted.
func TestDisconnectDoesNotNeedTheNumber(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	var counts, disconnects atomic.Int32
	const away = `{"error":{"code":100,"message":"a gateway of the fleet does not answer","temporary":true}}`
	api.putFakeGateway("chat", "chat-gateway-1", reportOf(contract.BrokerReady), map[string]http.HandlerFunc{
		contract.PathAPI + "connections": withJSON(&counts, http.StatusInternalServerError, away),
		contract.PathAPI + "disconnect":  withJSON(&disconnects, http.StatusOK, `{"result":{}}`),
	})
	out := succeed(t, plugin(t, api, "disconnect", "--user", "alice")).stdout
	assert.Contains(t, out, "closed the connections of user alice with 3503")
	assert.EqualValues(t, 1, disconnects.Load())
}

func TestCommandsSayWhatAGatewayRefuses(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	var calls atomic.Int32
	const away = `{"error":{"code":100,"message":"the broker is away; try again","temporary":true}}`
	api.putFakeGateway("chat", "chat-gateway-1", reportOf(contract.BrokerReady), map[string]http.HandlerFunc{
		contract.PathAPI: withJSON(&calls, http.StatusInternalServerError, away),
	})
	for _, args := range [][]string{
		{"publish", "news", "1"}, {"disconnect", "--user", "alice"}, {"disconnect", "--connection", "a"},
	} {
		r := run(plugin(t, api, args...))
		assert.Equal(t, exitFailed, r.code)
		assert.Contains(t, r.stderr,
			"gateway chat-gateway-1 answered 500 Internal Server Error: the broker is away; try again")
		assert.Empty(t, r.stdout)
	}
}

// A gateway of an older version has no server API on its private port, streams no channel and selects no connections.
func TestCommandsAgainstAnOlderGateway(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	var calls atomic.Int32
	api.putFakeGateway("chat", "chat-gateway-1", reportOf(contract.BrokerReady), map[string]http.HandlerFunc{
		contract.PathConnections: withJSON(&calls, http.StatusOK, `{"total":1,"connections":[]}`),
	})
	const tooOld = "404 Not Found: its version does not have this command: update the fleet's gateways (spec.image)"
	for _, c := range []struct {
		want string
		args []string
	}{
		{"cannot select connections: update the fleet's gateways (spec.image)", []string{"connections"}},
		{tooOld, []string{"publish", "news", "1"}},
		{tooOld, []string{"tail", "news"}},
		{tooOld, []string{"disconnect", "--user", "alice"}},
		{tooOld, []string{"disconnect", "--connection", "a"}},
	} {
		r := run(plugin(t, api, c.args...))
		assert.Equal(t, exitFailed, r.code)
		assert.Contains(t, r.stderr, c.want)
	}
}

// Over a backplane, one gateway reaches the clients of all.
func TestCommandsReachTheWholeFleet(t *testing.T) {
	t.Parallel()
	redis := redistest.Standalone(t, "")
	u := startUsers(t, func(cfg *config.Config) {
		cfg.Broker, cfg.RedisAddresses = contract.BrokerRedis, []string{redis.Addr()}
	})
	tail := follow(t, u.fakeAPI, "lobby", "-o", "json")
	assert.Equal(t, "following lobby on chat-gateway-1", tail.said(), "and no note about a backplane")
	connectAs(t, u.second, "carol", "lobby")
	assert.Equal(t, "published to lobby, which has no history\n",
		succeed(t, plugin(t, u.fakeAPI, "publish", "lobby", "1")).stdout)
	assert.Equal(t, "1", received(t, u.alice1))
	assert.JSONEq(t, `{"data":1}`, tail.printed())
	require.NoError(t, tail.cmd.Process.Kill())
	tail.exit()

	assert.Contains(t, succeed(t, plugin(t, u.fakeAPI, "disconnect", "--user", "alice")).stdout,
		"closed 2 connections of user alice")
	assert.Equal(t, 3503, closed(t, u.alice1).Code)
	assert.Equal(t, 3503, closed(t, u.alice2).Code)
	assert.Equal(t, 2, listed(t, u.fakeAPI).Selected, "bob and carol stay")
}
