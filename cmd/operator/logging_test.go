package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/contract"
)

func TestLevelHandlerSetsTheLevelOfARunningLogger(t *testing.T) {
	var out bytes.Buffer
	log, level, err := (&logSettings{level: "info", format: "text"}).newLogger(&out)
	require.NoError(t, err)
	handler := levelHandler(level, log)
	answer := func(method, body string) (int, string) {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(method, contract.PathLogLevel, strings.NewReader(body)))
		return recorder.Code, recorder.Body.String()
	}
	expect := func(method, body string, code int, want string) {
		t.Helper()
		gotCode, got := answer(method, body)
		assert.Equal(t, code, gotCode)
		assert.Contains(t, got, want)
	}

	log.V(4).Info("before")
	expect(http.MethodGet, "", http.StatusOK, `{"level":"info"}`)
	expect(http.MethodPut, `{"level":"debug"}`, http.StatusOK, `{"level":"debug"}`)
	log.V(4).Info("between")
	expect(http.MethodPut, `{"level":"loud"}`, http.StatusBadRequest, "debug, info, warn, error")
	expect(http.MethodPut, "error", http.StatusBadRequest, `{"level":"debug"}`)
	expect(http.MethodPut, strings.Repeat(" ", maxLevelBytes)+`{}`, http.StatusBadRequest, "too large")
	expect(http.MethodPost, `{"level":"error"}`, http.StatusMethodNotAllowed, "GET or PUT")
	expect(http.MethodGet, "", http.StatusOK, `{"level":"debug"}`)
	expect(http.MethodPut, `{"level":"error"}`, http.StatusOK, `{"level":"error"}`)
	log.Info("after")

	assert.NotContains(t, out.String(), "before")
	assert.Contains(t, out.String(), "between")
	assert.Contains(t, out.String(), "The log level was changed")
	assert.NotContains(t, out.String(), "after")
}

// Without the endpoint's access control any client in the cluster could silence the log.
func TestMetricsOptionsServeTheLevelOnlyToAuthorizedClients(t *testing.T) {
	secure := metricsOptions(&settings{metricsSecure: true}, nil, logr.Discard())
	assert.Contains(t, secure.ExtraHandlers, contract.PathLogLevel)
	assert.NotNil(t, secure.FilterProvider)
	assert.True(t, secure.SecureServing)

	open := metricsOptions(&settings{}, nil, logr.Discard())
	assert.Empty(t, open.ExtraHandlers)
}
