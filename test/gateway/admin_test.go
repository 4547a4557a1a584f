package gateway_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/contract"
)

func TestAdminPortNeedsAToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	put("token", "first\n")
	put("..data", "not a token")
	put("empty", "\n")
	g := start(t, func(cfg *config.Config) { cfg.AdminTokenDir = dir })
	status := func(token string) int {
		return g.admin(t, "GET", "/fleet", "Authorization", "Bearer "+token).status
	}
	require.Equal(t, http.StatusOK, status("first"))
	require.Equal(t, http.StatusUnauthorized, status("second"))
	require.Equal(t, http.StatusUnauthorized, status("not a token"))
	require.Equal(t, http.StatusUnauthorized, status(""))
	put("previous", "second")
	require.Equal(t, http.StatusOK, status("second"), "a rotation needs no restart")
	require.Equal(t, http.StatusOK, status("first"))

	for method, path := range map[string]string{"GET": "/fleet", "POST": "/drain"} {
		got := g.admin(t, method, path)
		require.Equal(t, http.StatusUnauthorized, got.status)
		require.Contains(t, got.body, "Bearer TOKEN")
	}
	require.Equal(t, http.StatusUnauthorized, g.admin(t, "POST", "/undrain").status)
	require.Equal(t, http.StatusUnauthorized, g.admin(t, "GET", "/connections").status)
	for _, open := range []string{"/livez", "/readyz", "/metrics"} {
		require.Equal(t, http.StatusOK, g.admin(t, "GET", open).status, "probes and scrapers know no token")
	}
	require.Equal(t, contract.StateServing, g.Report().State)

	require.NoError(t, os.RemoveAll(dir))
	require.Equal(t, http.StatusUnauthorized, status("first"), "without tokens no caller is allowed")
	require.NotContains(t, g.log.String(), "second")
}

func TestAdminPortWithoutTokensAnswersLoopbackOnly(t *testing.T) {
	t.Parallel()
	g := start(t)
	require.Equal(t, http.StatusOK, g.admin(t, "GET", "/fleet").status)
	got := g.admin(t, "POST", "/drain", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusForbidden, got.status, "a web page is not the operator")
	require.Equal(t, contract.StateServing, g.Report().State)
}

func TestAdminPortServesTheConsoleAndGuardsProfiles(t *testing.T) {
	t.Parallel()
	g := start(t, func(cfg *config.Config) { cfg.AdminTokenDir = t.TempDir() })
	page := g.admin(t, "GET", "/console/")
	require.Equal(t, http.StatusOK, page.status)
	require.Contains(t, page.body, `<script src="console.js" defer>`)
	require.Contains(t, page.header.Get("Content-Security-Policy"), "default-src 'none'")
	for _, file := range []string{"console.js", "console.css", "icon.svg"} {
		require.Equal(t, http.StatusOK, g.admin(t, "GET", "/console/"+file).status, file)
	}
	require.Equal(t, http.StatusUnauthorized, g.admin(t, "GET", "/debug/pprof/goroutine").status)
}

func TestAdminPortReportsConnections(t *testing.T) {
	t.Parallel()
	g := start(t, func(cfg *config.Config) { cfg.MaxConnections = 100 })
	g.dial(t, "/ws?channel=b&channel=a")
	c := g.connect(t)
	c.text(`{"id":2,"subscribe":{"channel":"c"}}`)
	c.expect(`{"id":2,"subscribe":{}}`)

	var report contract.GatewayReport
	g.admin(t, "GET", "/fleet").json(t, &report)
	require.InDelta(t, 2.0/60, *report.ConnectRate, 0, "two connections in the last minute")
	require.Zero(t, *report.RejectRate)
	require.Zero(t, *report.CrowdRate)
	require.Positive(t, report.UptimeSeconds)
	report.ConnectRate, report.RejectRate, report.CrowdRate, report.UptimeSeconds = nil, nil, nil, 0
	require.Equal(t, contract.GatewayReport{
		Node: "node-1", Version: "v0.0.0-test", State: contract.StateServing, Connections: 2, MaxConnections: 100,
		Broker: contract.BrokerReport{Kind: "memory", State: contract.BrokerReady},
	}, report)

	type connection struct {
		ID, Protocol, RemoteIP, ConnectedAt string
		Channels                            []string
		QueuedBytes                         *int
	}
	var list struct {
		Total       int
		Connections []connection
	}
	g.admin(t, "GET", "/connections").json(t, &list)
	require.Equal(t, 2, list.Total)
	byProtocol := map[string]connection{}
	for _, entry := range list.Connections {
		require.NotEmpty(t, entry.ID)
		require.NotEmpty(t, entry.ConnectedAt)
		require.NotNil(t, entry.QueuedBytes)
		require.Equal(t, "127.0.0.1", entry.RemoteIP)
		byProtocol[entry.Protocol] = entry
	}
	require.Equal(t, []string{"a", "b"}, byProtocol["plain"].Channels)
	require.Equal(t, []string{"c"}, byProtocol["centrifuge"].Channels)

	g.admin(t, "GET", "/connections?limit=1").json(t, &list)
	require.Len(t, list.Connections, 1)
	require.Equal(t, 2, list.Total)
	for _, limit := range []string{"0", "-1", "1001", "x"} {
		require.Equal(t, http.StatusBadRequest, g.admin(t, "GET", "/connections?limit="+limit).status)
	}
}

// listedUsers returns the users of the connections that the private port lists.
func (r *testGateway) listedUsers(t *testing.T, query string) []string {
	t.Helper()
	var list contract.ConnectionList
	r.admin(t, "GET", "/connections"+query).json(t, &list)
	users := []string{}
	for _, one := range list.Connections {
		users = append(users, one.User)
	}
	return users
}

func TestAdminPortFindsOneClientAmongMany(t *testing.T) {
	t.Parallel()
	g := start(t, func(cfg *config.Config) { cfg.JWTKey = jwtKey })
	for _, user := range []string{"u3", "u1", "u2", "u1"} {
		g.dial(t, "/ws?channel=lobby&token="+signed(t, jwt.MapClaims{"sub": user}))
	}
	g.dial(t, "/ws?channel=news&token="+signed(t, jwt.MapClaims{"sub": "u9"}))
	g.connect(t)
	for query, want := range map[string][]string{
		"":                             {"u3", "u1", "u2", "u1", "u9", ""},
		"?user=u1":                     {"u1", "u1"},
		"?user=u4":                     {},
		"?channel=news":                {"u9"},
		"?channel=lobby&user=u2":       {"u2"},
		"?protocol=centrifuge":         {""},
		"?ip=127.0.0.1&protocol=plain": {"u3", "u1", "u2", "u1", "u9"},
		"?ip=127.0.0.0/8&user=u3":      {"u3"},
		"?ip=192.0.2.7":                {},
		"?sort=age&user=u1&limit=1":    {"u1"},
	} {
		require.ElementsMatch(t, want, g.listedUsers(t, query), query)
	}
	require.Equal(t, []string{"", "u1", "u1", "u2", "u3", "u9"}, g.listedUsers(t, "?sort=user"))
	require.Equal(t, []string{"u1", "u1", "u2"}, g.listedUsers(t, "?sort=user&channel=lobby&limit=3"))
	for _, order := range []string{"", "?sort=age", "?sort=ip"} {
		var list contract.ConnectionList
		g.admin(t, "GET", "/connections"+order).json(t, &list)
		require.True(t, slices.IsSortedFunc(list.Connections, func(a, b contract.Connection) int {
			return a.ConnectedAt.Compare(b.ConnectedAt)
		}), order)
		require.Equal(t, 6, list.Total)
	}
	var list contract.ConnectionList
	g.admin(t, "GET", "/connections?user=u1&limit=1").json(t, &list)
	require.Equal(t, 2, *list.Selected, "the answer says that there are more")
}

// withAdminToken sets the token of the private port.
func withAdminToken(t *testing.T) func(*config.Config) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte("s3cret"), 0o600))
	return func(cfg *config.Config) { cfg.AdminTokenDir = dir }
}

func TestAdminPortHasTheServerAPIForItsTokens(t *testing.T) {
	t.Parallel()
	g := start(t, withAdminToken(t))
	c := g.dial(t, "/ws?channel=news")
	url, body := "http://"+g.AdminAddr()+"/api/publish", `{"channel":"news","data":{"a":1}}`
	for _, refused := range []string{"", "Bearer wrong", "apikey s3cret"} {
		got := request(t, "POST", url, body, "Authorization", refused)
		require.Equal(t, http.StatusUnauthorized, got.status, refused)
	}
	got := request(t, "POST", url, body, "Authorization", "Bearer s3cret")
	require.Equal(t, http.StatusOK, got.status, got.body)
	c.expect(`{"a":1}`)
	got = g.api(t, "POST", "publish", body, "Authorization", "Bearer s3cret")
	require.Equal(t, http.StatusForbidden, got.status, "the public port knows no admin token")
}
