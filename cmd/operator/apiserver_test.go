package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// The log of the operator's start tells what the API server is, and what it lacks.
func TestLogAPIServer(t *testing.T) {
	for _, c := range []struct {
		answer  string
		want    []string
		without []string
	}{
		{`{"gitVersion":"v1.37.2"}`, []string{"Found the API server", "v1.37.2"}, []string{"lacks", "older"}},
		{`{"gitVersion":"v1.36.0-eks-1"}`, []string{"v1.36.0-eks-1", "minReplicas 0"}, []string{"tolerance", "older"}},
		{`{"gitVersion":"v1.34.4"}`, []string{"v1.34.4", "minReplicas 0", "tolerance"}, []string{"older"}},
		{`{"gitVersion":"v1.33.1"}`, []string{"older than any that is supported", "oldest=1.34"}, nil},
		{`{"gitVersion":"main"}`, []string{"does not understand"}, []string{"lacks"}},
		{`<html>`, []string{"does not answer", "waits"}, []string{"lacks"}},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(c.answer))
		}))
		var out bytes.Buffer
		log, _, err := (&logSettings{level: "info", format: "text"}).newLogger(&out)
		require.NoError(t, err)
		logAPIServer(t.Context(), &rest.Config{Host: server.URL}, log)
		server.Close()
		for _, want := range c.want {
			assert.Contains(t, out.String(), want, c.answer)
		}
		for _, other := range c.without {
			assert.NotContains(t, out.String(), other, c.answer)
		}
	}
}
