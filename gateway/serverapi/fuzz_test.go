package serverapi_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
	"github.com/wsfleet/wsfleet/gateway/serverapi/serverapitest"
)

// FuzzRequests sends arbitrary bodies to all methods. The response must be JSON that matches the OpenAPI document, and
// a request that was executed must match it too.
func FuzzRequests(f *testing.F) {
	names := []string{"publish", "broadcast", "batch", "subscribe", "unsubscribe", "disconnect", "refresh", "presence",
		"presence_stats", "history", "history_remove", "channels", "info", "send", "connections", "connections/c1"}
	for i, body := range []string{
		`{"channel":"kept:a","data":{"x":[1,null]},"tags":{"k":"v"},"idempotency_key":"i","skip_history":true,"version":0}`,
		`{"channels":["a","kept:b"],"b64data":"AP8="}`,
		`{"commands":[{"publish":{"channel":"a","data":1}},{"history":{"channel":"kept:a","limit":1}},{}],"parallel":true}`,
		`{"user":"42","client":"c1","channel":"a","info":{},"expire_at":1,"recover_since":{"offset":1,"epoch":"e"}}`,
		`{"user":"42","channel":"a"}`,
		`{"user":"42","disconnect":{"code":3000,"reason":"r"},"whitelist":["c1"],"revoke":true}`,
		`{"user":"42","expired":true}`, `{"channel":"a"}`, `null`,
		`{"channel":"kept:a","limit":-1,"since":{"offset":1,"epoch":"epoch-1"},"reverse":true}`, "{\"channel\":\"\xff\"}",
		`{"pattern":"*"}`, ``, `{"client":"c1","data":"\ud800"}`, `{"channel":"a","limit":1}`,
		`{"DATA":1,"data":2,"data":null}`,
	} {
		f.Add(uint(i), []byte(body))
	}
	fleet := serverapitest.NewFakeFleet()
	a := serverapi.New(serverapi.Options{
		Keys:            auth.NewAPIKeys(key, ""),
		Fleet:           fleet,
		MaxMessageBytes: 1000,
		Timeout:         time.Minute,
		CheckChannel:    serverapitest.CheckChannel,
		Served:          func(string, string, time.Duration) {},
		Logger:          slog.New(slog.DiscardHandler),
	})
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/openapi.json", nil))
	description, err := serverapitest.ReadDescription(w.Body.Bytes())
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, method uint, body []byte) {
		defer fleet.Calls()
		r := httptest.NewRequest(http.MethodPost, "/api/"+names[method%uint(len(names))], strings.NewReader(string(body)))
		r.Header.Set("X-API-Key", key)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		require.True(t, json.Valid(w.Body.Bytes()), w.Body)
		require.NotContains(t, w.Body.String(), "internal error")
		if !oddJSON(body) {
			require.NoError(t, description.Check(r, body, w.Code, w.Header(), w.Body.Bytes()), "%s %s", body, w.Body)
		}
	})
}

// oddJSON reports whether decoders may understand body differently: names in another case, repeated names, nulls.
func oddJSON(body []byte) bool {
	var compact map[string]json.RawMessage
	if json.Unmarshal(body, &compact) != nil {
		return true
	}
	text := string(body)
	return strings.Contains(text, "null") || strings.ToLower(text) != text || strings.Contains(text, `\`) ||
		strings.Count(text, `"data"`) > 1
}
