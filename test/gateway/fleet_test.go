package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	cf "github.com/centrifugal/protocol"
	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/gateway/serverapi/serverapitest"
)

// apiClient calls the server API and checks every request and response against the OpenAPI description.
type apiClient struct {
	t      *testing.T
	client *http.Client
	url    string
}

func (r *testGateway) apiClient(t *testing.T) *apiClient {
	t.Helper()
	document := request(t, "GET", "http://"+r.Addr()+"/api/openapi.json", "")
	d, err := serverapitest.ReadDescription([]byte(document.body))
	require.NoError(t, err)
	return &apiClient{t: t, client: &http.Client{Transport: d, Timeout: waitTimeout}, url: "http://" + r.Addr() + "/api/"}
}

// do sends a request and returns the HTTP status and the body.
func (c *apiClient) do(method, path, body string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	require.NoError(c.t, err)
	r.Header.Set("X-API-Key", key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := c.client.Do(r)
	require.NoError(c.t, err)
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	return response.StatusCode, string(answer)
}

// post calls a method that must succeed and returns its result.
func (c *apiClient) post(method, body string) (result map[string]any) {
	c.t.Helper()
	status, answer := c.do("POST", method, body)
	require.Equal(c.t, http.StatusOK, status, answer)
	require.NotContains(c.t, answer, `"error"`)
	var a struct{ Result map[string]any }
	require.NoError(c.t, json.Unmarshal([]byte(answer), &a))
	return a.Result
}

// refused calls a method that must fail and returns the code of its error.
func (c *apiClient) refused(method, body string) int {
	c.t.Helper()
	_, answer := c.do("POST", method, body)
	var a struct{ Error struct{ Code int } }
	require.NoError(c.t, json.Unmarshal([]byte(answer), &a))
	require.NotZero(c.t, a.Error.Code, answer)
	return a.Error.Code
}

// Every method is called on one gateway, for clients of another gateway.
func TestServerAPIReachesTheFleet(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t, "")
	change := []func(*config.Config){onRedis(s, ""), withTokens, withRules}
	one, two := start(t, change...), start(t, change...)
	for _, g := range []*testGateway{one, two} {
		g.awaitMetric(t, 1, "websocket_broker_state", "state", "ready")
	}
	api := one.apiClient(t)
	ann, annIs := two.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, user("ann"))})
	tab, tabIs := one.connectWith(t, cf.TypeProtobuf, &cf.ConnectRequest{Token: signed(t, user("ann"))})
	plain := two.dial(t, "/ws?channel=news&token="+signed(t, user("bob")))
	for _, c := range []*sdk{ann, tab} {
		c.subscribeTo("kept:a")
		c.subscribeTo("seen:a")
		c.subscribeTo("news")
	}

	step := func(methods string, do func()) {
		t.Log(methods)
		do()
	}
	step("publish, broadcast, batch", func() {
		first := api.post("publish", `{"channel":"kept:a","data":{"n":1},"tags":{"k":"v"},"idempotency_key":"key"}`)
		require.InDelta(t, 1, first["offset"], 0)
		require.Equal(t, true, api.post("publish", `{"channel":"kept:a","data":{"n":1},"idempotency_key":"key"}`)["repeated"])
		require.Equal(t, 107, api.refused("publish", `{"channel":"kept:a","data":{"n":2},"idempotency_key":"key"}`))
		for _, c := range []*sdk{ann, tab} {
			p := c.publication()
			require.JSONEq(t, `{"n":1}`, string(p.Data))
			require.Equal(t, map[string]string{"k": "v"}, p.Tags)
		}
		require.Len(t, api.post("broadcast", `{"channels":["kept:a","news"],"data":2}`)["responses"], 2)
		plain.expect("2")
		for _, c := range []*sdk{ann, tab} {
			require.Equal(t, []byte("2"), []byte(c.publication().Data))
			require.Equal(t, []byte("2"), []byte(c.publication().Data))
		}
		_, answer := api.do("POST", "batch",
			`{"commands":[{"publish":{"channel":"news","data":3}},{"channels":{"pattern":"news"}}]}`)
		require.Contains(t, answer, `"num_clients":3`)
		plain.expect("3")
		for _, c := range []*sdk{ann, tab} {
			require.NotNil(t, c.publication())
		}
	})
	step("history, history_remove", func() {
		got := api.post("history", `{"channel":"kept:a","limit":10}`)
		require.Len(t, got["publications"], 2)
		since := fmt.Sprintf(`{"channel":"kept:a","limit":10,"since":{"offset":1,"epoch":%q}}`, got["epoch"])
		require.Len(t, api.post("history", since)["publications"], 1)
		require.Equal(t, 112, api.refused("history", `{"channel":"kept:a","limit":10,"since":{"offset":1,"epoch":"x"}}`))
		require.Equal(t, 108, api.refused("history", `{"channel":"news","limit":10}`))
		api.post("history_remove", `{"channel":"kept:a"}`)
		require.Empty(t, api.post("history", `{"channel":"kept:a","limit":10}`)["publications"])
	})
	step("presence, presence_stats, channels, info", func() {
		require.Len(t, api.post("presence", `{"channel":"seen:a"}`)["presence"], 2)
		stats := api.post("presence_stats", `{"channel":"seen:a"}`)
		require.InDelta(t, 2, stats["num_clients"], 0)
		require.InDelta(t, 1, stats["num_users"], 0)
		require.Equal(t, 108, api.refused("presence", `{"channel":"news"}`))
		channels := api.post("channels", `{"pattern":"seen:*"}`)["channels"].(map[string]any)
		require.Equal(t, map[string]any{"seen:a": map[string]any{"num_clients": 2.0}}, channels)
		require.Eventually(t, func() bool { return len(api.post("info", `{}`)["nodes"].([]any)) == 2 }, waitTimeout, tick)
	})
	step("connections", func() {
		require.Len(t, api.post("connections", `{"user":"ann"}`)["connections"], 2)
		require.Len(t, api.post("connections", `{"user":"ann","limit":1}`)["connections"], 1)
		require.Len(t, api.post("connections", `{"channel":"news"}`)["connections"], 3)
		require.Empty(t, api.post("connections", `{"user":"nobody"}`)["connections"])
		for id, protocol := range map[string]string{annIs.Client: "json", tabIs.Client: "protobuf"} {
			status, answer := api.do("GET", "connections/"+id, "")
			require.Equal(t, http.StatusOK, status, answer)
			require.Contains(t, answer, `"protocol":"`+protocol+`"`)
			require.Contains(t, answer, `"user":"ann"`)
			require.Contains(t, answer, `"kept:a"`)
		}
		for _, id := range []string{uuid.NewString(), "x"} {
			status, _ := api.do("GET", "connections/"+id, "")
			require.Equal(t, http.StatusNotFound, status)
		}
	})
	step("send", func() {
		require.InDelta(t, 2, api.post("send", `{"user":"ann","data":{"x":1}}`)["reached"], 0)
		for _, c := range []*sdk{ann, tab} {
			require.JSONEq(t, `{"x":1}`, string(c.message().Data))
		}
		require.InDelta(t, 1, api.post("send", `{"client":"`+annIs.Client+`","b64data":"AP8="}`)["reached"], 0)
		require.Equal(t, `"AP8="`, string(ann.message().Data))
		require.InDelta(t, 0, api.post("send", `{"user":"nobody","data":1}`)["reached"], 0)
		require.InDelta(t, 0, api.post("send", `{"client":"`+annIs.Client+`","user":"bob","data":1}`)["reached"], 0)
		status, answer := api.do("POST", "connections/"+tabIs.Client, `{"b64data":"AP8="}`)
		require.Equal(t, http.StatusOK, status, answer)
		require.Equal(t, "\x00\xff", string(tab.message().Data))
		status, _ = api.do("POST", "connections/"+uuid.NewString(), `{"data":1}`)
		require.Equal(t, http.StatusNotFound, status)
	})
	step("subscribe, unsubscribe", func() {
		for i := range 3 {
			two.publishTo(t, "kept:b", fmt.Sprint(i))
		}
		epoch := api.post("history", `{"channel":"kept:b"}`)["epoch"]
		api.post("subscribe",
			fmt.Sprintf(`{"user":"ann","channel":"kept:b","info":{"seat":1},"recover_since":{"offset":1,"epoch":%q}}`, epoch))
		for _, c := range []*sdk{ann, tab} {
			p := c.until(func(p *cf.Push) bool { return p.Subscribe != nil })
			require.Equal(t, uint64(1), p.Subscribe.Offset, "it goes on from there with each that it applies")
			require.Equal(t, "2:1 3:2", datas([]*cf.Publication{c.publication(), c.publication()}), "what it missed comes first")
		}
		api.post("subscribe", `{"client":"`+annIs.Client+`","channel":"closed:a"}`)
		require.Equal(t, "closed:a", ann.until(func(p *cf.Push) bool { return p.Subscribe != nil }).Channel)
		require.Equal(t, 108, func() int {
			for i := range 200 {
				if _, answer := api.do("POST", "subscribe",
					fmt.Sprintf(`{"client":"%s","channel":"many:%d"}`, tabIs.Client,
						i)); strings.Contains(answer, "max-channels-per-connection") {
					return 108
				}
			}
			return 0
		}(), "there is a limit, which says its name")
		api.post("unsubscribe", `{"user":"ann","channel":"kept:b"}`)
		for _, c := range []*sdk{ann, tab} {
			require.Equal(t, uint32(2000), c.until(func(p *cf.Push) bool { return p.Unsubscribe != nil }).Unsubscribe.Code)
		}
		api.post("unsubscribe", `{"client":"`+uuid.NewString()+`","channel":"kept:b"}`)
	})
	step("refresh, disconnect", func() {
		api.post("refresh", fmt.Sprintf(`{"user":"ann","expire_at":%d}`, time.Now().Add(time.Hour).Unix()))
		for _, c := range []*sdk{ann, tab} {
			require.True(t, c.until(func(p *cf.Push) bool { return p.Refresh != nil }).Refresh.Expires)
		}
		api.post("disconnect", `{"user":"ann","whitelist":["`+tabIs.Client+`"]}`)
		ann.closed(3503, "force disconnect")
		require.NotNil(t, tab.call(&cf.Command{Ping: &cf.PingRequest{}}).Ping)
		status, answer := api.do("DELETE", "connections/"+tabIs.Client+"?code=4100&reason=bye", "")
		require.Equal(t, http.StatusOK, status, answer)
		tab.closed(4100, "bye")
		api.post("disconnect", `{"user":"bob","disconnect":{"code":4000,"reason":"bye"}}`)
		plain.closed(4000, "bye")
	})
}

// message returns the next message that a backend sent to the client.
func (s *sdk) message() *cf.Message {
	s.t.Helper()
	return s.until(func(p *cf.Push) bool { return p.Message != nil }).Message
}

// until reads pushes until meant returns true, and returns the last one.
func (s *sdk) until(meant func(p *cf.Push) bool) *cf.Push {
	s.t.Helper()
	for {
		if p := s.push(); meant(p) {
			return p
		}
	}
}

// A user moves between gateways while a backend sends messages to it. Every message that the server API counts as
// delivered must arrive, and the API must ask only gateways that are registered for the user.
func TestServerAPISendReachesUsersThatMove(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t, "")
	one, two := start(t, onRedis(s, ""), withTokens), start(t, onRedis(s, ""), withTokens)
	for _, g := range []*testGateway{one, two} {
		g.awaitMetric(t, 1, "websocket_broker_state", "state", "ready")
	}
	api := one.apiClient(t)
	c := one.connectAs(t, "ann")
	for i := range 20 {
		to := []*testGateway{two, one}[i%2]
		next := to.connectAs(t, "ann")
		require.InDelta(t, 2, api.post("send", `{"user":"ann","data":"both"}`)["reached"], 0)
		require.JSONEq(t, `"both"`, string(c.message().Data))
		require.JSONEq(t, `"both"`, string(next.message().Data))
		require.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
		require.Eventually(t, func() bool { return one.Report().Connections+two.Report().Connections == 1 }, waitTimeout,
			time.Millisecond)
		require.InDelta(t, 1, api.post("send", `{"user":"ann","data":"one"}`)["reached"], 0)
		require.JSONEq(t, `"one"`, string(next.message().Data))
		c = next
	}
}

// A gateway that ended is asked for no user any more, also when it could not remove its registrations.
func TestServerAPIWithoutAGatewayThatEnded(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t, "")
	one, two := start(t, onRedis(s, ""), withTokens), start(t, quickDrain, onRedis(s, ""), withTokens)
	for _, g := range []*testGateway{one, two} {
		g.awaitMetric(t, 1, "websocket_broker_state", "state", "ready")
	}
	api := one.apiClient(t)
	_, gone := two.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, user("ann"))})
	require.Eventually(t, func() bool { return len(api.post("info", `{}`)["nodes"].([]any)) == 2 }, waitTimeout, tick)
	two.Terminate("SIGTERM", false)
	two.ended(t)
	require.Len(t, api.post("info", `{}`)["nodes"], 1, "it said so")
	require.InDelta(t, 0, api.post("send", `{"user":"ann","data":1}`)["reached"], 0)
	require.InDelta(t, 0, api.post("send", `{"client":"`+gone.Client+`","data":1}`)["reached"], 0)

	// The gateway seems to be killed: its registrations are still there.
	redis := s.Client()
	t.Cleanup(func() { _ = redis.Close() })
	instance := strings.ReplaceAll(gone.Client, "-", "")[:12]
	soon := float64(time.Now().Add(time.Minute).UnixMilli())
	for _, list := range []string{"wsfleet:gt", "wsfleet:u:ann"} {
		require.NoError(t, redis.Do(t.Context(), "ZADD", list, soon, instance).Err())
	}
	require.InDelta(t, 0, api.post("send", `{"user":"ann","data":1}`)["reached"], 0)
	require.Empty(t, api.post("connections", `{"user":"ann"}`)["connections"])
	require.NotNil(t, api.post("channels", `{}`)["channels"])

	// A gateway that gets the request and does not answer leaves the result unknown, which is an error.
	deaf := redis.Subscribe(t.Context(), "wsfleet:n:"+instance)
	t.Cleanup(func() { _ = deaf.Close() })
	_, err := deaf.Receive(timeoutContext(t))
	require.NoError(t, err)
	require.Equal(t, 100, api.refused("send", `{"user":"ann","data":1}`))
	require.Equal(t, 100, api.refused("connections", `{"user":"ann"}`))
}
