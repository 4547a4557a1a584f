// Package serverapi is the HTTP API for backends. It has the shapes of Centrifugo's HTTP API, so that existing server
// libraries work: POST /api/publish with an X-API-Key header. The package checks requests and translates them into
// calls of a Fleet. openapi.yaml describes the API.
//
// Package gateway serves it on the public port, and without the key on the private port, with the Fleet of package
// control.
package serverapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Options configure an API.
type Options struct {
	Keys            *auth.APIKeys
	Fleet           Fleet
	MaxMessageBytes int
	// Timeout is the maximum time of a request. A batch has it for all its commands together.
	Timeout time.Duration
	// CheckChannel returns an error that says what is wrong with a channel's name, or nil.
	CheckChannel func(name string) error
	// Served is called after every request and every command of a batch with the method, the outcome and the time that it
	// took. The outcome is "ok", "error" for a request that was understood and not executed, or "refused".
	Served func(method, outcome string, took time.Duration)
	Logger *slog.Logger
}

// API is the HTTP handler of contract.PathAPI. It is safe for use by many goroutines.
type API struct {
	options  Options
	methods  map[string]method
	document []byte
}

// method executes a request with this body. It returns the result, or an *apiError or an error of the Fleet.
type method func(ctx context.Context, body []byte) (any, error)

// New returns an API.
func New(o Options) *API {
	a := &API{options: o, document: document()}
	a.methods = a.commands()
	a.methods[methodBatch] = withRequest(a.batch)
	return a
}

// commands returns the methods that a batch may contain.
func (a *API) commands() map[string]method {
	return map[string]method{
		methodPublish:    withRequest(a.publish),
		methodBroadcast:  withRequest(a.broadcast),
		"subscribe":      withRequest(a.subscribe),
		"unsubscribe":    withRequest(a.unsubscribe),
		"disconnect":     withRequest(a.disconnect),
		"refresh":        withRequest(a.refresh),
		"presence":       withRequest(a.presence),
		"presence_stats": withRequest(a.presenceStats),
		"history":        withRequest(a.history),
		"history_remove": withRequest(a.removeHistory),
		"channels":       withRequest(a.channels),
		"info":           withRequest(a.info),
		"send":           withRequest(a.send),
		"connections":    withRequest(a.connections),
	}
}

// The names of methods that are treated in a special way.
const (
	methodPublish   = "publish"
	methodBroadcast = "broadcast"
	methodBatch     = "batch"
	methodUnknown   = "unknown"
)

// withRequest returns a method that decodes its request and calls serve.
func withRequest[Request any](serve func(context.Context, *Request) (any, error)) method {
	return func(ctx context.Context, body []byte) (any, error) {
		r := new(Request)
		if err := decode(body, r); err != nil {
			return nil, err
		}
		return serve(ctx, r)
	}
}

// route says how a request is served.
type route struct {
	// name is the name of the method for Options.Served. It is never taken from the request unchecked.
	name string
	// serve is nil for an unknown path.
	serve method
	// allow is the HTTP method that the path takes, or a list of them when the request's is not among them.
	allow string
	// limit is the maximum size of the body in bytes.
	limit int64
}

// ServeHTTP implements http.Handler. It refuses requests without a valid key.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.answer(w, r, a.authorise) }

// WithoutKey returns a handler that executes requests without a key, also when no key is configured. It is for a port
// that checks its callers itself.
func (a *API) WithoutKey() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.answer(w, r, func(*http.Request) *apiError { return nil })
	})
}

// answer answers a request for which authorise returns no error.
func (a *API) answer(w http.ResponseWriter, r *http.Request, authorise func(*http.Request) *apiError) {
	path := strings.TrimPrefix(r.URL.Path, contract.PathAPI)
	if path == documentPath {
		a.serveDocument(w, r)
		return
	}
	start, to := time.Now(), a.route(r, path)
	result, f := any(nil), authorise(r)
	if f == nil {
		result, f = a.serve(w, r, to)
	}
	a.options.Served(to.name, f.outcome(), time.Since(start))
	if r.Header.Get(headerErrorMode) == errorModeTransport {
		f = f.withTransportStatus()
	}
	writeResponse(w, result, f)
}

// route returns the route of a path below contract.PathAPI.
func (a *API) route(r *http.Request, path string) route {
	if id, ok := strings.CutPrefix(path, pathConnection); ok {
		return a.connectionRoute(r, id)
	}
	to := route{name: path, serve: a.methods[path], allow: http.MethodPost, limit: a.options.singleLimit()}
	switch {
	case to.serve == nil:
		to.name = methodUnknown
	case path == methodBatch, path == methodBroadcast:
		to.limit = a.options.listLimit()
	}
	return to
}

// serve checks the HTTP method and the body, and executes the method.
func (a *API) serve(w http.ResponseWriter, r *http.Request, to route) (any, *apiError) {
	switch {
	case to.serve == nil:
		return nil, a.notFound(http.StatusNotFound)
	case r.Method != to.allow:
		w.Header().Set("Allow", to.allow)
		return nil, &apiError{Code: codeBadRequest, Message: "use " + to.allow, status: http.StatusMethodNotAllowed}
	}
	body, err := a.readBody(w, r, to.limit)
	if err != nil {
		return nil, a.toAPIError(to.name, err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.options.Timeout)
	defer cancel()
	return a.guard(to.name, func() (any, error) { return to.serve(ctx, body) })
}

// notFound returns an error that names all methods.
func (a *API) notFound(status int) *apiError {
	names := slices.Sorted(maps.Keys(a.methods))
	return &apiError{
		Code:    codeNotFound,
		Message: "method not found; there are " + strings.Join(names, ", "),
		status:  status,
	}
}

// writeResponse writes a result or an error. The replies of a batch are not wrapped in a result.
func writeResponse(w http.ResponseWriter, result any, f *apiError) {
	w.Header().Set("Content-Type", "application/json")
	if f != nil {
		w.WriteHeader(f.status)
		writeJSON(w, map[string]any{"error": f})
		return
	}
	if _, whole := result.(*batchReply); !whole {
		result = map[string]any{"result": result}
	}
	writeJSON(w, result)
}

// writeJSON writes v and leaves <, > and & as they are. It ignores write errors: the caller of the API has gone.
func writeJSON(w http.ResponseWriter, v any) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
}
