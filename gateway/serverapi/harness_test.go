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

// harness is a running API with a fake fleet, and a client that checks every call against the OpenAPI document.
type harness struct {
	*httptest.Server
	t      *testing.T
	fleet  *serverapitest.FakeFleet
	client *http.Client
	log    *bytes.Buffer

	// mu guards counted.
	mu sync.Mutex
	// counted are the calls of Options.Served, as "METHOD OUTCOME".
	counted []string
}

// serve starts an API whose options change can modify.
func serve(t *testing.T, change ...func(*serverapi.Options)) *harness {
	t.Helper()
	s := &harness{t: t, fleet: serverapitest.NewFakeFleet(), log: &bytes.Buffer{}}
	o := s.options()
	for _, c := range change {
		c(&o)
	}
	s.Server = httptest.NewServer(serverapi.New(o))
	s.client = &http.Client{Transport: readDescription(t, s.URL)}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		s.Close()
	})
	return s
}

// options returns the options of the API.
func (s *harness) options() serverapi.Options {
	return serverapi.Options{
		Keys:            auth.NewAPIKeys(key, newKey),
		Fleet:           s.fleet,
		MaxMessageBytes: 1000,
		Timeout:         10 * time.Second,
		CheckChannel:    serverapitest.CheckChannel,
		Served:          s.count,
		Logger:          slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// count implements Options.Served.
func (s *harness) count(method, outcome string, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counted = append(s.counted, method+" "+outcome)
	if took < 0 || took > time.Minute {
		s.t.Errorf("%s took %v", method, took)
	}
}

// counts returns counted since it was last called.
func (s *harness) counts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	counted := s.counted
	s.counted = nil
	return counted
}

// readDescription returns the OpenAPI document of a running API.
func readDescription(t *testing.T, url string) *serverapitest.Description {
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

// apiResponse is a response of the API.
type apiResponse struct {
	status int
	header http.Header
	body   string
}

// do sends a request. header is a list of names and values.
func (s *harness) do(t *testing.T, method, path, body string, header ...string) apiResponse {
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
	return apiResponse{response.StatusCode, response.Header, string(got)}
}

// call calls a method with the key.
func (s *harness) call(t *testing.T, method, body string) apiResponse {
	t.Helper()
	return s.do(t, http.MethodPost, "/api/"+method, body, "X-API-Key", key)
}

// result calls a method that must succeed and returns its result.
func (s *harness) result(t *testing.T, method, body string) string {
	t.Helper()
	got := s.call(t, method, body)
	require.Equal(t, http.StatusOK, got.status, got.body)
	var a struct{ Result json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(got.body), &a))
	require.NotNil(t, a.Result, got.body)
	return string(a.Result)
}

// requireError requires an error with a status, a code and a text in its message.
func (got apiResponse) requireError(t *testing.T, status, code int, says string) {
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
