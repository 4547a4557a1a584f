package protocol

import (
	"errors"
	"net/http"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/recovery"
)

// retryAfter is the Retry-After of a refusal whose cause is temporary.
const retryAfter = 2 * time.Second

// BadRequest returns the refusal of a malformed handshake. The message tells the client's developer what to change.
func BadRequest(message string) *transport.Refusal {
	return &transport.Refusal{Status: http.StatusBadRequest, Reason: "bad_request", Message: message}
}

// refusals are the answers for the session's errors. A message that is empty is the error's text.
var refusals = []struct {
	err     error
	refusal transport.Refusal
}{
	{session.ErrChannelName, transport.Refusal{Status: http.StatusBadRequest, Reason: "bad_request"}},
	{session.ErrTooManyChannels, transport.Refusal{Status: http.StatusBadRequest, Reason: "channel_limit"}},
	{session.ErrInvalidToken, transport.Refusal{
		Status: http.StatusUnauthorized, Reason: "token", Message: "the token is not valid; connect with another",
	}},
	{session.ErrExpiredToken, transport.Refusal{
		Status: http.StatusUnauthorized, Reason: "token_expired", Message: "the token is expired; connect with another",
	}},
	{session.ErrUnauthorized, transport.Refusal{
		Status: http.StatusUnauthorized, Reason: "token",
		Message: "send a token: in the Authorization header, or as the parameter token",
	}},
	{session.ErrNotAllowed, transport.Refusal{
		Status: http.StatusForbidden, Reason: "permission",
		Message: "subscribing to one of the channels is not allowed with this token, or without one",
	}},
	{registry.ErrTooManyConnections, transport.Refusal{
		Status:     http.StatusTooManyRequests,
		Reason:     "per_user",
		Message:    "the user has too many connections to this gateway; close one, or try again",
		RetryAfter: retryAfter,
	}},
	{recovery.ErrPanic, transport.Refusal{
		Status: http.StatusInternalServerError, Reason: "internal", Message: "internal error",
	}},
	{hooks.ErrDown, unidentified()},
	{auth.ErrUnavailable, unidentified()},
	{session.ErrInfoTooLarge, unidentified()},
}

// unidentified is the refusal of a client about which the backend, or the source of keys, cannot be asked.
func unidentified() transport.Refusal {
	return transport.Refusal{
		Status:     http.StatusServiceUnavailable,
		Reason:     "hook",
		Message:    "the gateway cannot find out who you are; try again",
		RetryAfter: retryAfter,
	}
}

// RefusalFor returns the HTTP answer to a handshake for an error of IdentifyHandshake or Base.ReserveAll.
func RefusalFor(err error) *transport.Refusal {
	if r, ok := errors.AsType[*transport.Refusal](err); ok {
		return r
	}
	if backend, ok := errors.AsType[*hooks.Error](err); ok {
		return &transport.Refusal{Status: http.StatusForbidden, Reason: "hook", Message: backend.Message}
	}
	if backend, ok := errors.AsType[*hooks.Disconnect](err); ok {
		return &transport.Refusal{Status: http.StatusForbidden, Reason: "hook", Message: backend.Reason}
	}
	for _, known := range refusals {
		if errors.Is(err, known.err) {
			refusal := known.refusal
			if refusal.Message == "" {
				refusal.Message = err.Error()
			}
			return &refusal
		}
	}
	return &transport.Refusal{
		Status:     http.StatusServiceUnavailable,
		Reason:     "broker",
		Message:    "the gateway cannot reach its broker; try again",
		RetryAfter: retryAfter,
	}
}
