package admin

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// guarded lists the method of each guarded path.
func guarded() map[string]string {
	return map[string]string{
		contract.PathFleet:              http.MethodGet,
		contract.PathConnections:        http.MethodGet,
		contract.PathUndrain:            http.MethodPost,
		contract.PathDrain:              http.MethodPost,
		contract.PathTail:               http.MethodGet,
		contract.PathAPI + "publish":    http.MethodPost,
		contract.PathAPI + "info":       http.MethodPost,
		contract.PathLogLevel:           http.MethodGet,
		contract.PathPprof:              http.MethodGet,
		contract.PathPprof + "heap":     http.MethodGet,
		contract.PathPprof + "symbol":   http.MethodGet,
		contract.PathPprof + "profile":  http.MethodGet,
		contract.PathPprof + "trace":    http.MethodGet,
		contract.PathPprof + "cmdline":  http.MethodGet,
		contract.PathPprof + "whatever": http.MethodGet,
	}
}

func TestGuardWithoutTokensAllowsLoopbackOnly(t *testing.T) {
	h := newHandler("")
	const here = "127.0.0.1:9090"
	for path, method := range guarded() {
		for _, from := range []string{
			"203.0.113.9:1", "10.0.0.1:1", "[2001:db8::1]:1", "[::ffff:203.0.113.9]:1", "@", "",
		} {
			got := request(h, method, path, from, here)
			require.Equal(t, http.StatusForbidden, got.Code, "%s from %s", path, from)
			require.Contains(t, got.Body.String(), "admin-token-dir")
		}
		for _, host := range []string{"evil.example:9090", "evil.example", "localhost.evil.example", ""} {
			got := request(h, method, path, "127.0.0.1:1", host)
			require.Equal(t, http.StatusForbidden, got.Code, "%s as %q", path, host)
		}
	}
	readable := []string{contract.PathFleet, contract.PathConnections, contract.PathLogLevel, contract.PathPprof}
	for _, path := range readable {
		for _, from := range []string{"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"} {
			for _, host := range []string{here, "127.0.0.1", "localhost:9090", "LOCALHOST", "[::1]:9090", "[::1]"} {
				got := request(h, http.MethodGet, path, from, host)
				require.Equal(t, http.StatusOK, got.Code, "%s from %s as %s", path, from, host)
			}
		}
	}
	for _, probe := range []string{contract.PathLivez, contract.PathReadyz} {
		got := request(h, http.MethodGet, probe, "203.0.113.9:1", "10.0.0.7:9090")
		require.Equal(t, http.StatusOK, got.Code, "probes come from elsewhere")
	}
}

func TestGuardWithoutTokensRefusesPagesOfOtherSites(t *testing.T) {
	h := newHandler("")
	for path, method := range guarded() {
		for _, site := range []string{"cross-site", "same-site"} {
			r := httptest.NewRequest(method, path, http.NoBody)
			r.RemoteAddr, r.Host = "127.0.0.1:1", "127.0.0.1:9090"
			r.Header.Set("Sec-Fetch-Site", site)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, http.StatusForbidden, w.Code, "%s %s", site, path)
		}
	}
	for _, site := range []string{"same-origin", "none"} {
		r := httptest.NewRequest(http.MethodGet, contract.PathFleet, http.NoBody)
		r.RemoteAddr, r.Host = "127.0.0.1:1", "127.0.0.1:9090"
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code, site)
	}
}

func TestGuardWithTokensTrustsNoAddress(t *testing.T) {
	h := newHandler(t.TempDir())
	for path, method := range guarded() {
		got := request(h, method, path, "127.0.0.1:1", "127.0.0.1:9090")
		require.Equal(t, http.StatusUnauthorized, got.Code, path)
	}
	got := request(h, http.MethodPut, contract.PathLogLevel, "127.0.0.1:1", "127.0.0.1:9090")
	require.Equal(t, http.StatusUnauthorized, got.Code)
}

func TestClientUsesNoProxy(t *testing.T) {
	c, err := NewClient("192.0.2.1:9090", t.TempDir())
	require.NoError(t, err)
	transport, ok := c.http.Transport.(*http.Transport)
	require.True(t, ok)
	require.Nil(t, transport.Proxy)
}

// The server API on a port without tokens would let each process on the machine act as the backend.
func TestServerAPINeedsATokenEvenOnLoopback(t *testing.T) {
	const path = contract.PathAPI + "publish"
	got := request(newHandler(""), http.MethodPost, path, "127.0.0.1:1", "127.0.0.1:9090")
	require.Equal(t, http.StatusForbidden, got.Code)
	require.Contains(t, got.Body.String(), "set admin-token-dir")
	got = send(newHandler(withToken(t, "s3cret")), http.MethodPost, path, "s3cret", "{}")
	require.Equal(t, http.StatusTeapot, got.Code, "the handler of the options")
}
