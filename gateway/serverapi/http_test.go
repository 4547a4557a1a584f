package serverapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
	"github.com/wsfleet/wsfleet/gateway/serverapi/serverapitest"
)

func TestAPIChecksKeys(t *testing.T) {
	s := serve(t)
	for name, c := range map[string]struct {
		header []string
		status int
		query  string
	}{
		"in the URL":                        {nil, 200, "?api_key=" + key},
		"in the URL, wrong":                 {nil, 401, "?api_key=the-kez"},
		"in the URL, under another name":    {nil, 401, "?apikey=" + key},
		"in the URL, the header's is wrong": {[]string{"X-API-Key", "wrong"}, 401, "?api_key=" + key},
		"in the URL, beside another scheme": {[]string{"Authorization", "Bearer x"}, 401, "?api_key=" + key},
		"key":                               {[]string{"X-API-Key", key}, 200, ""},
		"the other key":                     {[]string{"X-API-Key", newKey}, 200, ""},
		"older libraries":                   {[]string{"Authorization", "apikey " + key}, 200, ""},
		"in capitals":                       {[]string{"Authorization", "ApiKey  " + newKey}, 200, ""},
		"both":                              {[]string{"X-API-Key", key, "Authorization", "apikey wrong"}, 200, ""},
		"none":                              {nil, 401, ""},
		"wrong":                             {[]string{"X-API-Key", "the-kez"}, 401, ""},
		"wrong, the other is not":           {[]string{"X-API-Key", "wrong", "Authorization", "apikey " + key}, 401, ""},
		"another scheme":                    {[]string{"Authorization", "Bearer " + key}, 401, ""},
		"only the scheme":                   {[]string{"Authorization", "apikey"}, 401, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.do(t, http.MethodPost, "/api/info"+c.query, `{}`, c.header...)
			if c.status == http.StatusOK {
				got.requireOK(t)
				return
			}
			got.requireError(t, c.status, 101, "X-API-Key")
		})
	}
	for _, path := range []string{"/api/dance", "/api/connections/c1", "/api/batch"} {
		s.do(t, http.MethodPost, path, `{}`).requireError(t, 401, 101, "X-API-Key")
	}
	s.do(t, http.MethodDelete, "/api/connections/c1", ``, "X-API-Key", "wrong").requireError(t, 401, 101, "X-API-Key")
	for _, call := range s.fleet.Calls() {
		require.Equal(t, "Gateways ", call, "only calls with a key")
	}
}

// The private port checks its callers itself, and has the API also where no key is configured.
func TestAPIWithoutKeyServesCallersThatWereChecked(t *testing.T) {
	for name, keys := range map[string]*auth.APIKeys{
		"a key is configured": auth.NewAPIKeys(key, ""),
		"the API is off":      auth.NewAPIKeys("", ""),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(o *serverapi.Options) { o.Keys = keys })
			checked := s.Config.Handler.(*serverapi.API).WithoutKey()
			for method, status := range map[string]int{"info": 200, "dance": 404} {
				w := httptest.NewRecorder()
				checked.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/"+method, strings.NewReader(`{}`)))
				require.Equal(t, status, w.Code, w.Body.String())
			}
			counted := s.counts()
			slices.Sort(counted)
			require.Equal(t, []string{"info ok", "unknown refused"}, counted)
			require.NotEqual(t, http.StatusOK, s.do(t, http.MethodPost, "/api/info", `{}`).status, "the handler itself")
		})
	}
}

// Callers choose whether errors have an HTTP status of their own.
func TestAPIErrorMode(t *testing.T) {
	s := serve(t)
	for name, c := range map[string]struct {
		fails      error
		path, body string
		code       int
		status     int
	}{
		"the broker is away":   {broker.ErrUnavailable, "/api/info", `{}`, 100, 500},
		"no such connection":   {serverapi.ErrUnknownConnection, "/api/subscribe", `{"client":"c","channel":"a"}`, 104, 404},
		"a bad field":          {nil, "/api/publish", `{"channel":"","data":1}`, 107, 400},
		"not available":        {serverapi.ErrNotAvailable, "/api/presence", `{"channel":"a"}`, 108, 400},
		"an unknown position":  {broker.ErrUnrecoverable, "/api/history", `{"channel":"a"}`, 112, 416},
		"a limit":              {nil, "/api/connections", `{"user":"u","limit":100000}`, 106, 400},
		"refused as ever":      {nil, "/api/publish", `{`, 107, 400},
		"no such method":       {nil, "/api/dance", `{}`, 104, 404},
		"a call that succeeds": {nil, "/api/info", `{}`, 0, 200},
	} {
		t.Run(name, func(t *testing.T) {
			s.fleet.Fail = func(string, string) error { return c.fails }
			defer func() { s.fleet.Fail = nil }()
			ask := func(mode string) apiResponse {
				return s.do(t, http.MethodPost, c.path, c.body, "X-API-Key", key, "X-Centrifugo-Error-Mode", mode)
			}
			got, usual := ask("transport"), ask("other")
			if c.code == 0 {
				got.requireOK(t)
				return
			}
			got.requireError(t, c.status, c.code, "")
			require.Equal(t, usual.body, got.body)
			if c.fails != nil {
				require.Equal(t, http.StatusOK, usual.status)
			}
		})
	}
}

func TestAPIWithoutKeysRefusesAll(t *testing.T) {
	s := serve(t, func(o *serverapi.Options) { o.Keys = auth.NewAPIKeys("", "") })
	s.do(t, http.MethodPost, "/api/publish", `{}`, "X-API-Key", "").requireError(t, 403, 103, "WSFLEET_API_KEY")
	require.Equal(t, []string{"publish refused"}, s.counts())
}

func TestAPIRefusesHTTPRequests(t *testing.T) {
	s := serve(t)
	for name, c := range map[string]struct {
		method, path string
		status, code int
		says, allow  string
		counted      []string
	}{
		"GET": {"GET", "publish", 405, 107, "use POST", "POST", []string{"publish refused"}},
		"PUT": {"PUT", "connections", 405, 107, "use POST", "POST", []string{"connections refused"}},
		"unknown method": {"POST", "dance", 404, 104, "there are batch, broadcast, channels,", "",
			[]string{"unknown refused"}},
		"no method":              {"POST", "", 404, 104, "method not found", "", []string{"unknown refused"}},
		"a method below another": {"POST", "publish/it", 404, 104, "method not found", "", []string{"unknown refused"}},
		"no connection's id":     {"GET", "connections/", 404, 104, "method not found", "", []string{"unknown refused"}},
		"below a connection":     {"GET", "connections/c1/x", 404, 104, "method not found", "", []string{"unknown refused"}},
		"PUT a connection": {"PUT", "connections/c1", 405, 107, "use GET, POST, DELETE", "GET, POST, DELETE",
			[]string{"unknown refused"}},
		"change the description": {"POST", "openapi.json", 405, 107, "use GET", "GET, HEAD", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.do(t, c.method, "/api/"+c.path, ``, "X-API-Key", key)
			got.requireError(t, c.status, c.code, c.says)
			require.Equal(t, c.allow, got.header.Get("Allow"))
			require.Equal(t, c.counted, s.counts())
		})
	}
	require.Empty(t, s.fleet.Calls())
}

func TestAPIServesConnection(t *testing.T) {
	s := serve(t)
	for name, c := range map[string]struct {
		method, path, body, result string
		calls, counted             []string
	}{
		"look": {"GET", "c1", ``,
			`{"id":"c1","user":"42","protocol":"centrifuge","remoteIP":"192.0.2.1",` +
				`"connectedAt":"2027-01-15T08:00:00Z","queuedBytes":7,"channels":["kept:news"],"node":"gateway-0"}`,
			[]string{"Connection c1"}, []string{"connection ok"},
		},
		"look, no channels": {"GET", "c2", ``,
			`{"id":"c2","user":"42","protocol":"plain","remoteIP":"192.0.2.1",` +
				`"connectedAt":"2027-01-15T08:00:00Z","queuedBytes":7,"channels":[],"node":"gateway-0"}`,
			[]string{"Connection c2"}, []string{"connection ok"},
		},
		"send": {"POST", "c1", `{"data":{"x": 1}}`, `{"reached":1}`, []string{`Send /c1 "{\"x\": 1}" binary=false`},
			[]string{"connection_send ok"}},
		"send bytes": {"POST", "c1", `{"b64data":"AP8="}`, `{"reached":1}`, []string{`Send /c1 "\x00\xff" binary=true`},
			[]string{"connection_send ok"}},
		"close": {"DELETE", "c1", ``, `{}`, []string{`Disconnect /c1 3503 "force disconnect" whitelist=[] revoke=false`},
			[]string{"connection_close ok"}},
		"close with": {"DELETE", "c1?code=4000&reason=come%20back", ``, `{}`,
			[]string{`Disconnect /c1 4000 "come back" whitelist=[] revoke=false`}, []string{"connection_close ok"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.do(t, c.method, "/api/connections/"+c.path, c.body, "X-API-Key", key)
			require.Equal(t, http.StatusOK, got.status, got.body)
			require.JSONEq(t, `{"result":`+c.result+`}`, got.body)
			require.Equal(t, c.calls, s.fleet.Calls())
			require.Equal(t, c.counted, s.counts())
		})
	}
}

func TestAPIRefusesConnectionRequests(t *testing.T) {
	s := serve(t)
	for name, c := range map[string]struct {
		method, path, body string
		status, code       int
		says               string
	}{
		"look, not there":    {"GET", "c9", ``, 404, 104, "no such connection"},
		"send, not there":    {"POST", "c9", `{"data":1}`, 404, 104, "no such connection"},
		"close, not there":   {"DELETE", "c9", ``, 404, 104, "no such connection"},
		"send nothing":       {"POST", "c1", `{}`, 200, 107, "data is missing"},
		"send no JSON":       {"POST", "c1", `hello`, 400, 107, "not JSON"},
		"send too much":      {"POST", "c1", `{"data":"` + strings.Repeat("x", 999) + `"}`, 200, 106, "max-message-bytes"},
		"send far too much":  {"POST", "c1", strings.Repeat("x", 10_000), 413, 106, "max-message-bytes"},
		"code is a word":     {"DELETE", "c1?code=soon", ``, 400, 107, "code: want a whole number"},
		"code is taken":      {"DELETE", "c1?code=1001", ``, 200, 107, "code: 1001 is not from 3000 to 4999"},
		"reason is too long": {"DELETE", "c1?reason=" + strings.Repeat("x", 124), ``, 200, 106, "reason: 124 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			s.do(t, c.method, "/api/connections/"+c.path, c.body, "X-API-Key", key).requireError(t, c.status, c.code, c.says)
			if c.code != 104 {
				require.Empty(t, s.fleet.Calls())
			}
			s.fleet.Calls()
		})
	}
	s.fleet.Fail = func(string, string) error { return errors.New("down") }
	s.do(t, http.MethodGet, "/api/connections/c1", ``, "X-API-Key", key).requireError(t, 200, 100, "internal error")
}

// leavingFleet is a Fleet whose connections close before a message reaches them.
type leavingFleet struct{ *serverapitest.FakeFleet }

func (leavingFleet) Send(context.Context, serverapi.Target, []byte, bool) (int, error) { return 0, nil }

func TestAPIReportsConnectionThatLeft(t *testing.T) {
	s := serve(t, func(o *serverapi.Options) { o.Fleet = leavingFleet{serverapitest.NewFakeFleet()} })
	got := s.do(t, http.MethodPost, "/api/connections/c1", `{"data":1}`, "X-API-Key", key)
	got.requireError(t, 404, 104, "no such connection")
	require.JSONEq(t, `{"reached":0}`, s.result(t, "send", `{"client":"c1","data":1}`))
}
