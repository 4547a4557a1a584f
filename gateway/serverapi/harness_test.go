package serverapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
	"github.com/wsfleet/wsfleet/gateway/serverapi/serverapitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	key    = "the-key"
	newKey = "the-next-key"
)

// served is a server API under test, and a client that holds every call against the description.
type served struct {
	*httptest.Server
	t      *testing.T
	fleet  *serverapitest.FakeFleet
	client *http.Client
	log    *bytes.Buffer

	mu      sync.Mutex
	counted []string
}

// serve runs the API; change sets what the test is about.
func serve(t *testing.T, change ...func(*serverapi.Options)) *served {
	t.Helper()
	s := &served{t: t, fleet: serverapitest.NewFakeFleet(), log: &bytes.Buffer{}}
	o := s.options()
	for _, c := range change {
		c(&o)
	}
	s.Server = httptest.NewServer(serverapi.New(o))
	s.client = &http.Client{Transport: describedBy(t, s.URL)}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		s.Close()
	})
	return s
}

func (s *served) options() serverapi.Options {
	return serverapi.Options{
		Keys: auth.NewAPIKeys(key, newKey), Fleet: s.fleet, MaxMessageBytes: 1000, Timeout: 10 * time.Second,
		CheckChannel: serverapitest.CheckChannel, Served: s.count,
		Logger: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func (s *served) count(method, outcome string, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counted = append(s.counted, method+" "+outcome)
	if took < 0 || took > time.Minute {
		s.t.Errorf("%s took %v", method, took)
	}
}

// counts are the calls since the last time, as METHOD OUTCOME.
func (s *served) counts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	counted := s.counted
	s.counted = nil
	return counted
}

func describedBy(t *testing.T, url string) *serverapitest.Description {
	t.Helper()
	response, err := http.Get(url + "/api/openapi.json")
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, "application/json", response.Header.Get("Content-Type"))
	document, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	description, err := serverapitest.ReadDescription(document)
	require.NoError(t, err)
	return description
}

// answered is a response.
type answered struct {
	status int
	header http.Header
	body   string
}

// do makes any request; headers are NAME, VALUE and so on.
func (s *served) do(t *testing.T, method, path, body string, header ...string) answered {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := s.client.Do(r)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	got, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "application/json", response.Header.Get("Content-Type"))
	return answered{response.StatusCode, response.Header, string(got)}
}

// call is a call of a method with the key.
func (s *served) call(t *testing.T, method, body string) answered {
	t.Helper()
	return s.do(t, http.MethodPost, "/api/"+method, body, "X-API-Key", key)
}

// result is that of a call that succeeds.
func (s *served) result(t *testing.T, method, body string) string {
	t.Helper()
	got := s.call(t, method, body)
	require.Equal(t, http.StatusOK, got.status, got.body)
	var a struct{ Result json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(got.body), &a))
	require.NotNil(t, a.Result, got.body)
	return string(a.Result)
}

// refuses checks a refusal: its status, its code, and what its message says.
func (got answered) refuses(t *testing.T, status, code int, says string) {
	t.Helper()
	require.Equal(t, status, got.status, got.body)
	var a struct {
		Error struct {
			Code    int
			Message string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(got.body), &a))
	require.Equal(t, code, a.Error.Code, got.body)
	require.Contains(t, a.Error.Message, says)
}
