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

// The error codes, which are those of the Centrifuge protocol.
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

// The texts of errors that are not the fault of the caller.
const (
	messageUnavailable = "the broker is away; try again, with the same idempotency_key where a message must not come twice"
	messageInternal    = "internal error; the gateway's log says more"
)

// apiError is sent as {"error":{...}}. Its status is 200 when the request was understood and its content refused, as
// libraries of this API expect.
type apiError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	// Temporary means that the same request may succeed later.
	Temporary bool `json:"temporary,omitempty"`
	// status is the HTTP status.
	status int
}

// Error implements error.
func (f *apiError) Error() string { return f.Message }

// outcome returns the outcome for Options.Served. f may be nil.
func (f *apiError) outcome() string {
	switch {
	case f == nil:
		return "ok"
	case f.status == http.StatusOK:
		return "error"
	}
	return "refused"
}

// headerErrorMode is the header with which callers choose how they learn of errors. With errorModeTransport it is by
// the HTTP status too, as in Centrifugo's API.
const (
	headerErrorMode    = "X-Centrifugo-Error-Mode"
	errorModeTransport = "transport"
)

// withTransportStatus returns the error with the HTTP status that stands for its code, unless it has one already. f may
// be nil.
func (f *apiError) withTransportStatus() *apiError {
	if f == nil || f.status != http.StatusOK {
		return f
	}
	told := *f
	switch f.Code {
	case codeInternal:
		told.status = http.StatusInternalServerError
	case codeNotFound:
		told.status = http.StatusNotFound
	case codeUnrecoverable:
		told.status = http.StatusRequestedRangeNotSatisfiable
	default:
		told.status = http.StatusBadRequest
	}
	return &told
}

// invalidField returns the error for a field with invalid content.
func invalidField(field, format string, args ...any) *apiError {
	return &apiError{Code: codeBadRequest, Message: field + ": " + fmt.Sprintf(format, args...), status: http.StatusOK}
}

// limitExceeded returns the error for a field that asks for more than a limit.
func limitExceeded(field, format string, args ...any) *apiError {
	f := invalidField(field, format, args...)
	f.Code = codeLimitExceeded
	return f
}

// notSupported returns the error for a field that this server does not implement.
func notSupported(field, problem string) *apiError {
	f := invalidField(field, "%s", problem)
	f.Code = codeNotAvailable
	return f
}

// malformed returns the error for a body that cannot be decoded.
func malformed(format string, args ...any) *apiError {
	return &apiError{Code: codeBadRequest, Message: fmt.Sprintf(format, args...), status: http.StatusBadRequest}
}

// toAPIError returns what the caller of the API may know of a method's error, and nil for nil. It logs unexpected
// errors.
func (a *API) toAPIError(method string, err error) *apiError {
	refused := func(code int, message string) *apiError {
		return &apiError{Code: code, Message: message, status: http.StatusOK}
	}
	if f, ok := errors.AsType[*apiError](err); ok {
		return f
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, broker.ErrUnavailable):
		return &apiError{Code: codeInternal, Message: messageUnavailable, Temporary: true, status: http.StatusOK}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &apiError{
			Code:      codeInternal,
			Message:   fmt.Sprintf("not done within %v; try again", a.options.Timeout),
			Temporary: true,
			status:    http.StatusOK,
		}
	case errors.Is(err, broker.ErrIdempotencyConflict):
		return invalidField("idempotency_key", "was used with other data in this channel; use a new one for each message")
	case errors.Is(err, ErrNotAvailable):
		return refused(codeNotAvailable, err.Error())
	case errors.Is(err, broker.ErrUnrecoverable):
		return refused(codeUnrecoverable, err.Error())
	case errors.Is(err, ErrUnknownConnection):
		return refused(codeNotFound, ErrUnknownConnection.Error())
	}
	a.options.Logger.Error("server API: a call failed", slog.String("method", method), slog.Any("error", err))
	return refused(codeInternal, messageInternal)
}

// guard calls work and converts its error. A panic in work fails the call and not the process with all its connections.
func (a *API) guard(method string, work func() (any, error)) (result any, f *apiError) {
	defer func() {
		if p := recover(); p != nil {
			a.options.Logger.Error("server API: a call panicked", slog.String("method", method), recovery.Attr(p))
			result, f = nil, &apiError{Code: codeInternal, Message: messageInternal, status: http.StatusOK}
		}
	}()
	result, err := work()
	return result, a.toAPIError(method, err)
}
