// Package serverapi is the HTTP API for backends, in the shapes of Centrifugo's HTTP API so that
// existing server libraries work: POST /api/publish with an X-API-Key header.
package serverapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/contract"
	"github.com/wsfleet/wsfleet/gateway/session"
)

// Error codes of the protocol that the API shares with clients.
const (
	codeInternal       = 100
	codeUnauthorized   = 101
	codeForbidden      = 103
	codeMethodNotFound = 104
	codeLimitExceeded  = 106
	codeBadRequest     = 107
)

// envelope is what a request may be larger than its data: names, quotes, and base64's third.
const envelope = 4096

// Options are what the API is made of.
type Options struct {
	// Key is what X-API-Key must say. Empty refuses everything.
	Key             string
	MaxMessageBytes int
	Timeout         time.Duration
	Publish         func(ctx context.Context, channel string, p broker.Publication) error
	// Served counts requests by method and outcome.
	Served func(method, outcome string)
}

// API serves contract.PathAPI.
type API struct {
	options Options
	methods map[string]method
}

// method takes a request's body and returns the result, or an *apiError.
type method func(ctx context.Context, body []byte) (any, error)

// New returns the API.
func New(o Options) *API {
	a := &API{options: o}
	a.methods = map[string]method{"publish": a.publish}
	return a
}

// apiError is answered as {"error":{...}}. Status is 200 when the request was understood and its
// content refused, as libraries of this API expect.
type apiError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	status  int
}

func (e *apiError) Error() string { return e.Message }

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, contract.PathAPI)
	m, known := a.methods[name]
	if !known {
		name = "unknown"
	}
	result, err := a.serve(w, r, m)
	w.Header().Set("Content-Type", "application/json")
	if err == nil {
		a.options.Served(name, "ok")
		write(w, map[string]any{"result": result})
		return
	}
	failed, ok := errors.AsType[*apiError](err)
	if !ok {
		failed = &apiError{Code: codeInternal, Message: err.Error(), status: http.StatusOK}
	}
	outcome := "error"
	if failed.status != http.StatusOK {
		outcome = "refused"
	}
	a.options.Served(name, outcome)
	w.WriteHeader(failed.status)
	write(w, map[string]any{"error": failed})
}

// serve checks what all methods have in common.
func (a *API) serve(w http.ResponseWriter, r *http.Request, m method) (any, error) {
	switch {
	case a.options.Key == "":
		return nil, &apiError{codeForbidden, "the server API is off: set api-key (environment " + contract.EnvPrefix + "API_KEY)", http.StatusForbidden}
	case !same(r.Header.Get("X-API-Key"), a.options.Key):
		return nil, &apiError{codeUnauthorized, "unauthorized: send the configured key in the X-API-Key header", http.StatusUnauthorized}
	case m == nil:
		return nil, &apiError{codeMethodNotFound, "method not found; there is publish", http.StatusNotFound}
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		return nil, &apiError{codeBadRequest, "use POST", http.StatusMethodNotAllowed}
	}
	limit := int64(a.options.MaxMessageBytes)*4/3 + envelope
	body, err := readAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return nil, a.tooLarge(http.StatusRequestEntityTooLarge)
		}
		return nil, &apiError{codeBadRequest, "the request body could not be read", http.StatusBadRequest}
	}
	// JSON keeps such bytes, and a text frame that holds them makes every browser hang up.
	if !utf8.Valid(body) {
		return nil, &apiError{codeBadRequest, "the request body is not UTF-8; send bytes as b64data", http.StatusBadRequest}
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.options.Timeout)
	defer cancel()
	return m(ctx, body)
}

func (a *API) tooLarge(status int) *apiError {
	return &apiError{codeLimitExceeded, fmt.Sprintf("message too large: max-message-bytes is %d", a.options.MaxMessageBytes), status}
}

// publishRequest is the body of publish: either data, any JSON value, or b64data, bytes in base64.
type publishRequest struct {
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
	B64Data *string         `json:"b64data"`
}

// publish sends a message into a channel. Plain clients get data as its JSON text in a text frame,
// and b64data as a binary frame.
func (a *API) publish(ctx context.Context, body []byte) (any, error) {
	var request publishRequest
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, &apiError{codeBadRequest, "the body is not the JSON of a publish: " + err.Error(), http.StatusBadRequest}
	}
	if err := session.CheckChannel(request.Channel); err != nil {
		return nil, &apiError{codeBadRequest, "channel: " + err.Error(), http.StatusOK}
	}
	p, err := request.publication()
	if err != nil {
		return nil, err
	}
	if len(p.Data) > a.options.MaxMessageBytes {
		return nil, a.tooLarge(http.StatusOK)
	}
	if err := a.options.Publish(ctx, request.Channel, p); err != nil {
		return nil, &apiError{codeInternal, "the broker did not take the message; try again", http.StatusOK}
	}
	return struct{}{}, nil
}

func (r *publishRequest) publication() (broker.Publication, error) {
	switch {
	case r.B64Data != nil && r.Data != nil:
		return broker.Publication{}, &apiError{codeBadRequest, "give data or b64data, not both", http.StatusOK}
	case r.B64Data != nil:
		data, err := base64.StdEncoding.DecodeString(*r.B64Data)
		if err != nil {
			return broker.Publication{}, &apiError{codeBadRequest, "b64data is not base64", http.StatusOK}
		}
		return broker.Publication{Data: data, Binary: true}, nil
	case r.Data != nil:
		return broker.Publication{Data: r.Data}, nil
	}
	return broker.Publication{}, &apiError{codeBadRequest, "data is missing", http.StatusOK}
}

// same compares in a time that tells nothing about the key, its length included.
func same(a, b string) bool {
	ha, hb := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(ha[:], hb[:]) == 1
}
