// Package serverapi is the HTTP API for backends, in the shapes of Centrifugo's HTTP API so that
// existing server libraries work: POST /api/publish with an X-API-Key header. It checks and translates
// requests; what they ask for is a Backend's business. openapi.yaml describes it.
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

// Options are what the API is made of.
type Options struct {
	Keys            *auth.APIKeys
	Fleet           Fleet
	MaxMessageBytes int
	// Timeout bounds a request, a batch with all its commands too.
	Timeout time.Duration
	// CheckChannel says what is wrong with a channel's name.
	CheckChannel func(name string) error
	// Served counts requests, and a batch's commands, by method, outcome and time. The outcome is ok,
	// error for what was understood and not done, or refused.
	Served func(method, outcome string, took time.Duration)
	Logger *slog.Logger
}

// API serves contract.PathAPI.
type API struct {
	options  Options
	methods  map[string]method
	document []byte
}

// method takes a request's body and returns the result, or a *fault, or an error of the Backend.
type method func(ctx context.Context, body []byte) (any, error)

// New returns the API.
func New(o Options) *API {
	a := &API{options: o, document: document()}
	a.methods = a.commands()
	a.methods[methodBatch] = reading(a.batch)
	return a
}

// commands are the methods that a batch may hold.
func (a *API) commands() map[string]method {
	return map[string]method{
		methodPublish:    reading(a.publish),
		methodBroadcast:  reading(a.broadcast),
		"subscribe":      reading(a.subscribe),
		"unsubscribe":    reading(a.unsubscribe),
		"disconnect":     reading(a.disconnect),
		"refresh":        reading(a.refresh),
		"presence":       reading(a.presence),
		"presence_stats": reading(a.presenceStats),
		"history":        reading(a.history),
		"history_remove": reading(a.removeHistory),
		"channels":       reading(a.channels),
		"info":           reading(a.info),
		"send":           reading(a.send),
		"connections":    reading(a.connections),
	}
}

// Names that more than the table needs.
const (
	methodPublish   = "publish"
	methodBroadcast = "broadcast"
	methodBatch     = "batch"
	methodUnknown   = "unknown"
)

// reading is a method that begins with decoding its request.
func reading[Request any](serve func(context.Context, *Request) (any, error)) method {
	return func(ctx context.Context, body []byte) (any, error) {
		r := new(Request)
		if err := decode(body, r); err != nil {
			return nil, err
		}
		return serve(ctx, r)
	}
}

// route is where a request goes.
type route struct {
	// name is counted; it is one of few.
	name string
	// serve is nil where there is nothing.
	serve method
	// allow is the HTTP method it takes, or a list of them when the request's is none of them.
	allow string
	limit int64
}

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, contract.PathAPI)
	if path == documentPath {
		a.serveDocument(w, r)
		return
	}
	start, to := time.Now(), a.route(r, path)
	result, f := a.serve(w, r, to)
	a.options.Served(to.name, f.outcome(), time.Since(start))
	answer(w, result, f)
}

// route finds what a path means.
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

// serve checks what all methods have in common.
func (a *API) serve(w http.ResponseWriter, r *http.Request, to route) (any, *fault) {
	if f := a.admit(r); f != nil {
		return nil, f
	}
	switch {
	case to.serve == nil:
		return nil, a.notFound(http.StatusNotFound)
	case r.Method != to.allow:
		w.Header().Set("Allow", to.allow)
		return nil, &fault{Code: codeBadRequest, Message: "use " + to.allow, status: http.StatusMethodNotAllowed}
	}
	body, err := a.read(w, r, to.limit)
	if err != nil {
		return nil, a.explain(to.name, err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.options.Timeout)
	defer cancel()
	return a.attempt(to.name, func() (any, error) { return to.serve(ctx, body) })
}

// notFound says which methods there are.
func (a *API) notFound(status int) *fault {
	names := slices.Sorted(maps.Keys(a.methods))
	return &fault{Code: codeNotFound, Message: "method not found; there are " + strings.Join(names, ", "), status: status}
}

// answer writes a result, or what came instead of it. A batch's replies stand by themselves.
func answer(w http.ResponseWriter, result any, f *fault) {
	w.Header().Set("Content-Type", "application/json")
	if f != nil {
		w.WriteHeader(f.status)
		write(w, map[string]any{"error": f})
		return
	}
	if _, whole := result.(*batchReply); !whole {
		result = map[string]any{"result": result}
	}
	write(w, result)
}

// write leaves messages as they are; a client that is gone cannot be told anything.
func write(w http.ResponseWriter, v any) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
}
