package admin

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/drain"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// noConnections implements drain.Connections.
type noConnections struct{}

func (noConnections) Open() int                    { return 0 }
func (noConnections) Remaining() int               { return 0 }
func (noConnections) CloseSome(int, time.Time) int { return 0 }

func (noConnections) CloseResumable(int, time.Time) int { return 0 }
func (noConnections) Abort()                            {}

// options are those of a gateway that serves without connections.
func options(tokenDir string) Options {
	logger := slog.New(slog.DiscardHandler)
	return Options{
		TokenDir: tokenDir,
		Drain:    drain.New(drain.Options{Connections: noConnections{}, Logger: logger}),
		Report: func() contract.GatewayReport {
			return contract.GatewayReport{
				State:  contract.StateServing,
				Broker: contract.BrokerReport{State: contract.BrokerReady},
			}
		},
		Connections: func(ConnectionQuery) contract.ConnectionList { return contract.ConnectionList{} },
		API:         http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
		Metrics:     http.NotFoundHandler(),
		LogLevel:    new(slog.LevelVar),
		Console: fstest.MapFS{
			"index.html":    {Data: []byte("<!doctype html>")},
			"console.js":    {Data: []byte("load()")},
			"sub/other.css": {Data: []byte("p {}")},
		},
		Logger: logger,
	}
}

func newHandler(tokenDir string) http.Handler { return Handler(options(tokenDir)) }

// request sends a request from a peer to a Host, without a token.
func request(h http.Handler, method, path, from, host string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, http.NoBody)
	r.RemoteAddr, r.Host = from, host
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// withToken returns a directory with one token.
func withToken(t *testing.T, token string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte(token+"\n"), 0o600))
	return dir
}

// send sends a request with a body and a token.
func send(h http.Handler, method, path, token, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestLogLevelIsReadAndChanged(t *testing.T) {
	var log bytes.Buffer
	o := options(withToken(t, "s3cret"))
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: o.LogLevel}))
	h := Handler(o)
	require.JSONEq(t, `{"level":"info"}`, send(h, http.MethodGet, contract.PathLogLevel, "s3cret", "").Body.String())

	got := send(h, http.MethodPut, contract.PathLogLevel, "s3cret", `{"level":"debug"}`)
	require.Equal(t, http.StatusOK, got.Code)
	require.JSONEq(t, `{"level":"debug"}`, got.Body.String())
	require.Equal(t, slog.LevelDebug, o.LogLevel.Level())

	got = send(h, http.MethodPut, contract.PathLogLevel, "s3cret", `{"level":"error"}`)
	require.Equal(t, http.StatusOK, got.Code)
	require.Equal(t, slog.LevelError, o.LogLevel.Level())
	require.Contains(t, log.String(), "from=info to=debug")
	require.Contains(t, log.String(), "from=debug to=error", "the log shows why it becomes silent")

	for body, want := range map[string]string{
		`{"level":"loud"}`: "debug, info, warn, error",
		`{"level":"INFO"}`: "debug, info, warn, error",
		`{}`:               "debug, info, warn, error",
		`debug`:            "not JSON",
		``:                 "not JSON",
		`{"level":"` + strings.Repeat("x", maxBodyBytes) + `"}`: "too large",
	} {
		got := send(h, http.MethodPut, contract.PathLogLevel, "s3cret", body)
		require.Equal(t, http.StatusBadRequest, got.Code, body)
		require.Contains(t, got.Body.String(), want)
	}
	require.Equal(t, slog.LevelError, o.LogLevel.Level(), "a refused request changes nothing")
}

func TestDrainRefusesWrongRequests(t *testing.T) {
	o := options(withToken(t, "s3cret"))
	h := Handler(o)
	for body, want := range map[string]string{
		`{"timeoutSeconds":-1}`:       "timeoutSeconds: give 0 (as configured) to 86400",
		`{"timeoutSeconds":86401}`:    "timeoutSeconds: give 0 (as configured) to 86400",
		`{"closesPerSecond":-1}`:      "closesPerSecond: give 0 (as configured) to 1000000",
		`{"closesPerSecond":1000001}`: "closesPerSecond: give 0 (as configured) to 1000000",
		`{"keep":-1}`:                 "keep: give 0 (a drain of all connections)",
		`{"serveAgain":"yes"}`:        "not the JSON of a drain request",
		`{`:                           "not the JSON of a drain request",
	} {
		got := send(h, http.MethodPost, contract.PathDrain, "s3cret", body)
		require.Equal(t, http.StatusBadRequest, got.Code, body)
		require.Contains(t, got.Body.String(), want)
	}
	require.Equal(t, contract.StateServing, o.Drain.State(), "a refused request changes nothing")
	got := send(h, http.MethodPost, contract.PathDrain, "s3cret", `{"closesPerSecond":1000000,"serveAgain":true}`)
	require.Equal(t, http.StatusAccepted, got.Code)
	o.Drain.Stop()
}

func TestLogLevelIsNotOfferedWithoutAVariable(t *testing.T) {
	o := options(withToken(t, "s3cret"))
	o.LogLevel = nil
	require.Equal(t, http.StatusNotFound, send(Handler(o), http.MethodGet, contract.PathLogLevel, "s3cret", "").Code)
}

// requireProfile asserts that body is a complete Go profile: a protocol buffer in a gzip stream.
func requireProfile(t *testing.T, body io.Reader) {
	t.Helper()
	unzipped, err := gzip.NewReader(body)
	require.NoError(t, err)
	content, err := io.ReadAll(unzipped)
	require.NoError(t, err, "the checksum at the end shows that nothing is missing")
	require.NotEmpty(t, content)
}

func TestProfilesAreServedWithAToken(t *testing.T) {
	h := newHandler(withToken(t, "s3cret"))
	for _, name := range []string{"goroutine", "heap", "allocs", "mutex", "block", "profile?seconds=1"} {
		got := send(h, http.MethodGet, contract.PathPprof+name, "s3cret", "")
		require.Equal(t, http.StatusOK, got.Code, name)
		requireProfile(t, got.Body)
	}
	got := send(h, http.MethodGet, contract.PathPprof, "s3cret", "")
	require.Contains(t, got.Body.String(), "goroutine")
	got = send(h, http.MethodGet, contract.PathPprof+"cmdline", "s3cret", "")
	require.Equal(t, http.StatusNotFound, got.Code, "the command line may hold secrets")
}

// A real server's WriteTimeout must not cut off a profile that takes longer.
func TestProfilesMayTakeLongerThanTheWriteTimeout(t *testing.T) {
	server := httptest.NewUnstartedServer(newHandler(""))
	server.Config.WriteTimeout = 500 * time.Millisecond
	server.Start()
	defer server.Close()
	response, err := http.Get(server.URL + contract.PathPprof + "profile?seconds=1")
	require.NoError(t, err)
	requireProfile(t, response.Body)
	require.NoError(t, response.Body.Close())
}

func TestConsoleServesItsFilesWithoutAToken(t *testing.T) {
	h := newHandler(withToken(t, "s3cret"))
	for path, want := range map[string]struct{ mediaType, body string }{
		"/console/":              {"text/html", "<!doctype html>"},
		"/console/console.js":    {"text/javascript", "load()"},
		"/console/sub/other.css": {"text/css", "p {}"},
	} {
		got := request(h, http.MethodGet, path, "203.0.113.9:1", "gateway:9090")
		require.Equal(t, http.StatusOK, got.Code, path)
		require.Equal(t, want.body, got.Body.String())
		require.Contains(t, got.Header().Get("Content-Type"), want.mediaType)
		policy := got.Header().Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'")
		require.Contains(t, policy, "frame-ancestors 'none'")
		require.NotContains(t, policy, "unsafe")
		require.NotContains(t, policy, "*")
		require.Equal(t, "nosniff", got.Header().Get("X-Content-Type-Options"))
		require.Equal(t, "no-referrer", got.Header().Get("Referrer-Policy"))
	}
}

func TestConsoleServesNothingElse(t *testing.T) {
	o := options(withToken(t, "s3cret"))
	// The files are on disk here. Embedded files have no parent directory to escape to.
	const secret = "hunter2"
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "outside"), []byte(secret), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "static", "sub"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "static", "index.html"), []byte("page"), 0o600))
	o.Console = os.DirFS(filepath.Join(dir, "static"))
	h := Handler(o)
	for _, path := range []string{
		"/console/../outside", "/console/..%2foutside", "/console/%2e%2e/outside", "/console/..%5coutside",
		"/console//etc/passwd", "/console/%2fetc%2fpasswd", "/console/sub/", "/console/sub", "/console/missing",
		"/console/./../../outside", "/console/index.html/../../outside", "/console/index.html%00",
	} {
		decoded, err := url.PathUnescape(path)
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		// Set and not parsed: parsing would resolve the dots.
		r.URL = &url.URL{Path: decoded, RawPath: path}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.NotEqual(t, http.StatusOK, w.Code, path)
		require.NotContains(t, w.Body.String(), secret, path)
	}
	require.Equal(t, http.StatusOK, request(h, http.MethodGet, "/console/", "203.0.113.9:1", "x").Code)
	require.Equal(t, http.StatusMethodNotAllowed, request(h, http.MethodPost, "/console/", "203.0.113.9:1", "x").Code)

	o.Console = nil
	require.Equal(t, http.StatusNotFound, request(Handler(o), http.MethodGet, "/console/", "203.0.113.9:1", "x").Code)
}
