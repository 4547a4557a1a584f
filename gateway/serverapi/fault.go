package serverapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/recovery"
)

// Error codes of the protocol that the API shares with clients.
const (
	codeInternal      = 100
	codeUnauthorized  = 101
	codeForbidden     = 103
	codeNotFound      = 104
	codeLimitExceeded = 106
	codeBadRequest    = 107
	codeNotAvailable  = 108
	codeUnrecoverable = 112
)

// What callers are told of faults that are not theirs.
const (
	messageUnavailable = "the broker is away; try again, with the same idempotency_key where a message must not come twice"
	messageInternal    = "internal error; the gateway's log says more"
)

// fault is answered as {"error":{...}}. Its status is 200 when the request was understood and its
// content refused, as libraries of this API expect.
type fault struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	// Temporary: the same request may succeed later.
	Temporary bool `json:"temporary,omitempty"`
	status    int
}

func (f *fault) Error() string { return f.Message }

// outcome is how a call is counted.
func (f *fault) outcome() string {
	switch {
	case f == nil:
		return "ok"
	case f.status == http.StatusOK:
		return "error"
	}
	return "refused"
}

// wrong refuses the content of a field.
func wrong(field, format string, args ...any) *fault {
	return &fault{Code: codeBadRequest, Message: field + ": " + fmt.Sprintf(format, args...), status: http.StatusOK}
}

// tooMuch refuses a field that asks for more than a limit.
func tooMuch(field, format string, args ...any) *fault {
	f := wrong(field, format, args...)
	f.Code = codeLimitExceeded
	return f
}

// unavailable refuses a field that asks for what this server does not have.
func unavailable(field, problem string) *fault {
	f := wrong(field, "%s", problem)
	f.Code = codeNotAvailable
	return f
}

// unreadable refuses a body that cannot be understood.
func unreadable(format string, args ...any) *fault {
	return &fault{Code: codeBadRequest, Message: fmt.Sprintf(format, args...), status: http.StatusBadRequest}
}

// explain makes of a method's error what its caller may know.
func (a *API) explain(method string, err error) *fault {
	said := func(code int, message string) *fault {
		return &fault{Code: code, Message: message, status: http.StatusOK}
	}
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, broker.ErrUnavailable):
		return &fault{Code: codeInternal, Message: messageUnavailable, Temporary: true, status: http.StatusOK}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &fault{Code: codeInternal, Message: fmt.Sprintf("not done within %v; try again", a.options.Timeout), Temporary: true, status: http.StatusOK}
	case errors.Is(err, broker.ErrIdempotencyConflict):
		return wrong("idempotency_key", "was used with other data in this channel; use a new one for each message")
	case errors.Is(err, ErrNotAvailable):
		return said(codeNotAvailable, err.Error())
	case errors.Is(err, broker.ErrUnrecoverable):
		return said(codeUnrecoverable, err.Error())
	case errors.Is(err, ErrUnknownConnection):
		return said(codeNotFound, ErrUnknownConnection.Error())
	}
	a.options.Logger.Error("server API: a call failed", slog.String("method", method), slog.Any("error", err))
	return said(codeInternal, messageInternal)
}

// attempt does a method's work. A bug in it ends that call, and not the process with all its
// connections.
func (a *API) attempt(method string, work func() (any, error)) (result any, f *fault) {
	defer func() {
		if p := recover(); p != nil {
			a.options.Logger.Error("server API: a call panicked", slog.String("method", method), recovery.Attr(p))
			result, f = nil, &fault{Code: codeInternal, Message: messageInternal, status: http.StatusOK}
		}
	}()
	result, err := work()
	return result, a.explain(method, err)
}
