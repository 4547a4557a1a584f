package interop

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// serveSite serves an empty page for browsers, and returns the origin.
func serveSite(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><title>A page</title><link rel="icon" href="data:,">`)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
