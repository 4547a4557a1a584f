package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/test/echo"
)

// startEcho runs a gateway that speaks one more protocol.
func startEcho(t *testing.T) *testGateway {
	t.Helper()
	o := gateway.Options{CloseTimeout: time.Second, Protocols: []protocol.Factory{echo.New}}
	noDelay := func(cfg *config.Config) { cfg.DrainPropagationDelay = 0 }
	return startWith(t, o, withTokens, withKey, withRules, noDelay)
}

// A protocol that the gateway package does not know has a path with a variable, and all that the other protocols have.
func TestProtocolsOfOptions(t *testing.T) {
	t.Parallel()
	g := startEcho(t)
	ann := g.dial(t, "/echo/seen:tea?token="+signed(t, user("ann")))
	bob := g.dial(t, "/echo/seen%3Atea?token="+signed(t, user("bob")))
	other := g.dial(t, "/echo/a%2Fb?token="+signed(t, user("eve")))
	ann.text("hello")
	ann.expect("ann: hello")
	bob.expect("ann: hello")
	other.text("who is there")
	other.expect("eve: who is there")
	g.publishTo(t, "a/b", `"news"`)
	other.expect(`server: "news"`)

	require.Contains(t, g.callAPI(t, "presence", `{"channel":"seen:tea"}`).body, `"user":"bob"`)
	require.Contains(t, g.callAPI(t, "connections", `{"user":"ann"}`).body, `"protocol":"echo"`)
	g.callAPI(t, "send", `{"user":"bob","data":{"n":1}}`)
	bob.expect(`{"n":1}`)
	require.InDelta(t, 3, g.metric(t, "websocket_accepted_total", "protocol", "echo"), 0)

	g.callAPI(t, "unsubscribe", `{"user":"ann","channel":"seen:tea"}`)
	bob.text("still here?")
	bob.expect("bob: still here?")
	ann.text("no")
	ann.closed(1008, "not allowed")
	g.callAPI(t, "disconnect", `{"user":"bob","disconnect":{"code":4100,"reason":"enough"}}`)
	bob.closed(4100, "enough")
	g.Terminate("the test ends", true)
	other.closed(1012, "service restart")
}

func TestProtocolsOfOptionsRefuseHandshakes(t *testing.T) {
	t.Parallel()
	g := startEcho(t)
	token := signed(t, user("ann"))
	for path, status := range map[string]int{
		"/echo/a":                       http.StatusUnauthorized,
		"/echo/a?token=forged":          http.StatusUnauthorized,
		"/echo/closed:a?token=" + token: http.StatusForbidden,
		"/echo/a%00b?token=" + token:    http.StatusBadRequest,
		"/echo/?token=" + token:         http.StatusNotFound,
		"/echo/a/b?token=" + token:      http.StatusNotFound,
		"/echo?token=" + token:          http.StatusNotFound,
		"/other/a?token=" + token:       http.StatusNotFound,
	} {
		_, response, err := g.tryDial(t, path)
		require.Error(t, err, path)
		require.Equal(t, status, response.StatusCode, path)
	}
}
