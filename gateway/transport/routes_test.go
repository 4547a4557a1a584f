package transport

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// routesUnderTest returns patterns of every kind that ServeMux supports, with the names of their variables.
func routesUnderTest() map[string][]string {
	return map[string][]string{
		"/ws": nil, "/": nil, "/app/{key}": {"key"}, "/app/special": nil, "/app/{key}/events": {"key"}, "/a%2Fb/{x}": {"x"},
		"/files/{path...}": {"path"}, "/files/{dir}/index": {"dir"}, "/two/{a}/{b}": {"a", "b"}, "/two/{a}/fixed": {"a"},
		"/nested/{x}": {"x"}, "/nested/b/c": nil,
		"/end/{$}": nil, "example.com/hosted/{x}": {"x"}, "GET /get/{x}": {"x"},
	}
}

// pathsUnderTest returns paths, and whether the event loop answers them without ServeMux.
func pathsUnderTest() map[string]bool {
	return map[string]bool{
		"/ws":                true,
		"/":                  true,
		"/app/k1":            true,
		"/app/special":       true,
		"/app/k%2F1":         true,
		"/app/%C3%A4":        true,
		"/app/a%20b":         true,
		"/app/k1/events":     true,
		"/a%2Fb/1":           true,
		"/files/a":           true,
		"/files/a/b/c":       true,
		"/files/a/index":     true,
		"/files/a%2Fb/c":     true,
		"/two/1/2":           true,
		"/two/1/fixed":       true,
		"/two/%7Ba%7D/fixed": true,
		"/nested/b/c":        true,
		"/nested/b%2Fc":      true,
		"/app/%2f":           false,
		"/files/a/%2F/b":     false,
		"/app":               false,
		"/app/":              false,
		"/app//":             false,
		"/app/k1/":           false,
		"/app/k1/other":      false,
		"/app/../ws":         false,
		"/app/./k1":          false,
		"/two//2":            false,
		"/files/":            false,
		"/files//a":          false,
		"/end/":              false,
		"/hosted/1":          false,
		"/get/1":             false,
		"/wss":               false,
	}
}

// The event loop finds the same endpoint and path values as ServeMux.
func TestRoutesAgreeWithServeMux(t *testing.T) {
	endpoints, mux := map[string]*Endpoint{}, http.NewServeMux()
	var handled *http.Request
	for pattern := range routesUnderTest() {
		endpoints[pattern] = &Endpoint{Protocol: pattern}
		mux.HandleFunc(pattern, func(_ http.ResponseWriter, r *http.Request) { handled = r })
	}
	routes := newRoutes(endpoints)
	for path, fast := range pathsUnderTest() {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		e := routes.find(r)
		require.Equal(t, fast, e != nil, path)
		if e == nil {
			continue
		}
		handled = nil
		mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
		require.NotNil(t, handled, path)
		require.Equal(t, handled.Pattern, e.Protocol, path)
		for _, name := range routesUnderTest()[e.Protocol] {
			require.Equal(t, handled.PathValue(name), r.PathValue(name), "%s: %s", path, name)
			require.NotEmpty(t, r.PathValue(name), path)
		}
	}
}

// FuzzRoutes compares routes with ServeMux for any path.
func FuzzRoutes(f *testing.F) {
	for path := range pathsUnderTest() {
		f.Add(path)
	}
	endpoints, mux := map[string]*Endpoint{}, http.NewServeMux()
	for pattern := range routesUnderTest() {
		endpoints[pattern] = &Endpoint{Protocol: pattern}
	}
	var handled *http.Request
	for pattern := range endpoints {
		mux.HandleFunc(pattern, func(_ http.ResponseWriter, r *http.Request) { handled = r })
	}
	routes := newRoutes(endpoints)
	f.Fuzz(func(t *testing.T, path string) {
		target, err := url.ParseRequestURI(path)
		if err != nil || target.Host != "" || !strings.HasPrefix(path, "/") {
			return
		}
		r := &http.Request{
			Method:     http.MethodGet,
			URL:        target,
			Host:       "x",
			RequestURI: path,
		}
		e := routes.find(r)
		if e == nil {
			return
		}
		again := r.Clone(t.Context())
		handled = nil
		mux.ServeHTTP(httptest.NewRecorder(), again)
		require.NotNil(t, handled, path)
		require.Equal(t, handled.Pattern, e.Protocol, path)
		for _, name := range routesUnderTest()[e.Protocol] {
			require.Equal(t, handled.PathValue(name), r.PathValue(name), path)
		}
	})
}

func TestRoutesWithoutVariablesAreAMap(t *testing.T) {
	e := &Endpoint{}
	routes := newRoutes(map[string]*Endpoint{"/ws": e})
	r := httptest.NewRequest(http.MethodGet, "/ws?channel=a", nil)
	require.Same(t, e, routes.find(r))
	require.Zero(t, testing.AllocsPerRun(100, func() { routes.find(r) }))
}
