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
)

func TestLevelHandlerSetsTheLevelOfARunningLogger(t *testing.T) {
	var out bytes.Buffer
	log, level, err := (&settings{logLevel: "info", logFormat: "text"}).newLogger(&out)
	require.NoError(t, err)
	handler := levelHandler(level, log)
	answer := func(method, body string) (int, string) {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(method, logLevelPath, strings.NewReader(body)))
		return recorder.Code, recorder.Body.String()
	}
	expect := func(method, body string, code int, want string) {
		t.Helper()
		gotCode, got := answer(method, body)
		assert.Equal(t, code, gotCode)
		assert.Contains(t, got, want)
	}

	log.V(4).Info("before")
	expect(http.MethodGet, "", http.StatusOK, "info\n")
	expect(http.MethodPut, "debug\n", http.StatusOK, "debug\n")
	log.V(4).Info("between")
	expect(http.MethodPut, "loud", http.StatusBadRequest, "debug, info, warn or error")
	expect(http.MethodPut, strings.Repeat(" ", maxLevelBytes)+"error", http.StatusBadRequest, "too large")
	expect(http.MethodPost, "error", http.StatusMethodNotAllowed, "GET or PUT")
	expect(http.MethodGet, "", http.StatusOK, "debug\n")
	expect(http.MethodPut, "error", http.StatusOK, "error\n")
	log.Info("after")

	assert.NotContains(t, out.String(), "before")
	assert.Contains(t, out.String(), "between")
	assert.Contains(t, out.String(), "The log level was set")
	assert.NotContains(t, out.String(), "after")
}

// Without the endpoint's access control any client in the cluster could silence the log.
func TestMetricsOptionsServeTheLevelOnlyToAuthorizedClients(t *testing.T) {
	secure := metricsOptions(&settings{metricsSecure: true}, nil, logr.Discard())
	assert.Contains(t, secure.ExtraHandlers, logLevelPath)
	assert.NotNil(t, secure.FilterProvider)
	assert.True(t, secure.SecureServing)

	open := metricsOptions(&settings{}, nil, logr.Discard())
	assert.Empty(t, open.ExtraHandlers)
}
