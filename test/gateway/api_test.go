package gateway_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
)

const key = "the-key"

func withKey(cfg *config.Config) { cfg.APIKey = key; cfg.MaxMessageBytes = 1000 }

func (r *testGateway) api(t *testing.T, method, name, body string, header ...string) answer {
	t.Helper()
	return request(t, method, "http://"+r.Addr()+"/api/"+name, body, header...)
}

func TestServerAPIPublishes(t *testing.T) {
	t.Parallel()
	g := start(t, withKey)
	plain, centrifuge := g.dial(t, "/ws?channel=news"), g.connect(t)
	centrifuge.text(`{"id":2,"subscribe":{"channel":"news"}}`)
	centrifuge.expect(`{"id":2,"subscribe":{}}`)

	for _, data := range []string{`{"a": [1]}`, `"text"`, `12`, `null`} {
		got := g.api(t, "POST", "publish", `{"channel":"news","data":`+data+`}`, "X-API-Key", key)
		require.Equal(t, http.StatusOK, got.status)
		require.JSONEq(t, `{"result":{}}`, got.body)
		plain.expect(data)
		centrifuge.expect(`{"push":{"channel":"news","pub":{"data":` + data + `}}}`)
	}
	got := g.api(t, "POST", "publish",
		`{"channel":"news","b64data":"`+base64.StdEncoding.EncodeToString([]byte("\x00\xff"))+`"}`, "X-API-Key", key)
	require.JSONEq(t, `{"result":{}}`, got.body)
	kind, data, err := plain.read()
	require.NoError(t, err)
	require.Equal(t, websocket.MessageBinary, kind)
	require.Equal(t, "\x00\xff", data)
	g.awaitMetric(t, 5, "websocket_api_requests_total", "method", "publish", "outcome", "ok")
}

func TestServerAPIRefuses(t *testing.T) {
	t.Parallel()
	g := start(t, withKey)
	cases := map[string]struct {
		method, name, body, key string
		status, code            int
		says                    string
	}{
		"no key":         {"POST", "publish", `{}`, "", 401, 101, "X-API-Key"},
		"wrong key":      {"POST", "publish", `{}`, "the-kez", 401, 101, "X-API-Key"},
		"GET":            {"GET", "publish", ``, key, 405, 107, "POST"},
		"unknown method": {"POST", "dance", `{}`, key, 404, 104, "method not found"},
		"no JSON":        {"POST", "publish", `hello`, key, 400, 107, "JSON"},
		"no text":        {"POST", "publish", "{\"channel\":\"a\",\"data\":\"\xff\"}", key, 400, 107, "b64data"},
		"wrong type":     {"POST", "publish", `{"channel":5}`, key, 400, 107, "channel"},
		"no channel":     {"POST", "publish", `{"data":1}`, key, 200, 107, "channel"},
		"no data":        {"POST", "publish", `{"channel":"a"}`, key, 200, 107, "data is missing"},
		"both kinds":     {"POST", "publish", `{"channel":"a","data":1,"b64data":"AA=="}`, key, 200, 107, "not both"},
		"no base64":      {"POST", "publish", `{"channel":"a","b64data":"?"}`, key, 200, 107, "base64"},
		"message too large": {"POST", "publish", `{"channel":"a","data":"` + strings.Repeat("x", 1000) + `"}`, key, 200, 106,
			"max-message-bytes is 1000"},
		"body too large": {"POST", "publish", strings.Repeat("x", 10_000), key, 413, 106, "max-message-bytes"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := g.api(t, c.method, c.name, c.body, "X-API-Key", c.key)
			require.Equal(t, c.status, got.status, got.body)
			var failed struct {
				Error struct {
					Code    int
					Message string
				}
			}
			got.json(t, &failed)
			require.Equal(t, c.code, failed.Error.Code)
			require.Contains(t, failed.Error.Message, c.says)
		})
	}
	g.awaitMetric(t, 7, "websocket_api_requests_total", "outcome", "refused", "method", "publish")
	g.awaitMetric(t, 1, "websocket_api_requests_total", "method", "unknown")
	require.NotContains(t, g.log.String(), "the-ke")

	off := start(t)
	got := off.api(t, "POST", "publish", `{}`, "X-API-Key", "")
	require.Equal(t, http.StatusForbidden, got.status)
	require.Contains(t, got.body, "WSFLEET_API_KEY")
}
