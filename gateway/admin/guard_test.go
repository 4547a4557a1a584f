package admin

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/drain"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// nobody is a fleet without connections.
type nobody struct{}

func (nobody) Open() int         { return 0 }
func (nobody) Remaining() int    { return 0 }
func (nobody) CloseSome(int) int { return 0 }
func (nobody) Abort()            {}

func handler(tokenDir string) http.Handler {
	return Handler(Options{
		TokenDir: tokenDir,
		Drain:    drain.New(drain.Options{Connections: nobody{}, Logger: slog.New(slog.DiscardHandler)}),
		Report: func() contract.GatewayReport {
			return contract.GatewayReport{State: contract.StateServing, Broker: contract.BrokerReport{State: contract.BrokerReady}}
		},
		Connections: func(int) []Connection { return nil },
		Metrics:     http.NotFoundHandler(),
		Logger:      slog.New(slog.DiscardHandler),
	})
}

func ask(h http.Handler, method, path, from, host string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, http.NoBody)
	r.RemoteAddr, r.Host = from, host
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestWithoutTokensThisMachineOnly(t *testing.T) {
	h := handler("")
	const here = "127.0.0.1:9090"
	guarded := map[string]string{contract.PathFleet: http.MethodGet, contract.PathConnections: http.MethodGet, contract.PathUndrain: http.MethodPost, contract.PathDrain: http.MethodPost}
	for path, method := range guarded {
		for _, from := range []string{"203.0.113.9:1", "10.0.0.1:1", "[2001:db8::1]:1", "[::ffff:203.0.113.9]:1", "@", ""} {
			got := ask(h, method, path, from, here)
			require.Equal(t, http.StatusForbidden, got.Code, "%s from %s", path, from)
			require.Contains(t, got.Body.String(), "admin-token-dir")
		}
		for _, host := range []string{"evil.example:9090", "evil.example", "localhost.evil.example", ""} {
			require.Equal(t, http.StatusForbidden, ask(h, method, path, "127.0.0.1:1", host).Code, "%s as %q", path, host)
		}
		if method == http.MethodPost {
			continue
		}
		for _, from := range []string{"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"} {
			for _, host := range []string{here, "127.0.0.1", "localhost:9090", "LOCALHOST", "[::1]:9090", "[::1]"} {
				require.Equal(t, http.StatusOK, ask(h, method, path, from, host).Code, "%s from %s as %s", path, from, host)
			}
		}
	}
	for _, probe := range []string{contract.PathLivez, contract.PathReadyz} {
		require.Equal(t, http.StatusOK, ask(h, http.MethodGet, probe, "203.0.113.9:1", "10.0.0.7:9090").Code, "probes come from elsewhere")
	}
}

func TestWithTokensNobodyIsThisMachine(t *testing.T) {
	got := ask(handler(t.TempDir()), http.MethodGet, contract.PathFleet, "127.0.0.1:1", "127.0.0.1:9090")
	require.Equal(t, http.StatusUnauthorized, got.Code)
}

func TestTokensPassNoProxy(t *testing.T) {
	c, err := NewClient("192.0.2.1:9090", t.TempDir())
	require.NoError(t, err)
	transport, ok := c.http.Transport.(*http.Transport)
	require.True(t, ok)
	require.Nil(t, transport.Proxy)
}
