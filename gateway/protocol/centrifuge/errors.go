package centrifuge

import (
	"context"
	"errors"

	cf "github.com/centrifugal/protocol"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/session"
)

// Error codes of the protocol. docs/protocols.md says when each is used.
const (
	codeInternal          = 100
	codeUnauthorized      = 101
	codePermissionDenied  = 103
	codeAlreadySubscribed = 105
	codeLimitExceeded     = 106
	codeBadRequest        = 107
	codeNotAvailable      = 108
	codeTokenExpired      = 109
	codeUnrecoverable     = 112
)

var (
	errNoData       = errors.New("data is missing")
	errNotAvailable = errors.New("not available on this gateway")
	errBadRequest   = errors.New("bad request")
	// errUnsubscribed is returned when the server ended a subscription before it began. It is not temporary: an SDK that
	// waits for its subscription ignores the unsubscribe push and would subscribe again.
	errUnsubscribed = errors.New("the server ended the subscription before it began")
)

// replyError returns the protocol's error for an error of a command. Errors that the client did not cause are
// temporary: SDKs subscribe again by themselves, and report a failed publish to their caller.
func replyError(err error) *cf.Error {
	if backend, ok := errors.AsType[*hooks.Error](err); ok {
		return &cf.Error{Code: backend.Code, Message: backend.Message, Temporary: backend.Temporary}
	}
	for _, known := range []struct {
		err  error
		code uint32
	}{
		{session.ErrChannelName, codeBadRequest},
		{session.ErrSubscribed, codeAlreadySubscribed},
		{session.ErrTooManyChannels, codeLimitExceeded},
		{session.ErrTooManyFilters, codeLimitExceeded},
		{session.ErrLimit, codeLimitExceeded},
		{session.ErrNotSubscribed, codePermissionDenied},
		{session.ErrNotAllowed, codePermissionDenied},
		{errUnsubscribed, codePermissionDenied},
		{session.ErrNotAvailable, codeNotAvailable},
		{session.ErrNoBackend, codeNotAvailable},
		{broker.ErrUnrecoverable, codeUnrecoverable},
		{session.ErrUnauthorized, codeUnauthorized},
		{session.ErrExpiredToken, codeTokenExpired},
		{broker.ErrIdempotencyConflict, codeBadRequest},
		{errNoData, codeBadRequest},
		{errBadRequest, codeBadRequest},
		{errNotAvailable, codeNotAvailable},
		{session.ErrInvalidToken, codePermissionDenied},
	} {
		if errors.Is(err, known.err) {
			return &cf.Error{Code: known.code, Message: message(err, known.err)}
		}
	}
	text := "internal error"
	switch {
	case errors.Is(err, session.ErrSubscriptionEnded):
		// Temporary, because it answers a refresh: the unsubscribe push of a subscription that has begun tells the client
		// whether to subscribe again, and this must not overrule it.
		text = session.ErrSubscriptionEnded.Error()
	case errors.Is(err, broker.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		text = "the gateway cannot reach its broker"
	case errors.Is(err, hooks.ErrDown):
		text = "the gateway cannot reach the backend"
	case errors.Is(err, session.ErrInfoTooLarge):
		text = session.ErrInfoTooLarge.Error()
	case errors.Is(err, auth.ErrUnavailable):
		text = "the gateway cannot verify tokens"
	}
	return &cf.Error{Code: codeInternal, Message: text, Temporary: true}
}

// message returns the text for the client's developer: the whole error where it has only our own words, and the known
// one's text otherwise.
func message(err, known error) string {
	whole := []error{session.ErrTooManyChannels, session.ErrTooManyFilters, session.ErrLimit, errBadRequest}
	for _, detailed := range whole {
		if known == detailed { //nolint:errorlint // the entry of the table, not a wrapped error
			return err.Error()
		}
	}
	return known.Error()
}

// Errors that close the connection.
var (
	errMalformed   = errors.New("malformed command")
	errOrder       = errors.New("connect must be the first command, and the only connect")
	errNoID        = errors.New("command without id")
	errNoCommand   = errors.New("command without a request")
	errNoChannel   = errors.New("command without a channel")
	errNoToken     = errors.New("command without a token")
	errStrayPong   = errors.New("pong without a ping")
	errEncode      = errors.New("reply not encoded")
	errRateLimited = errors.New("more messages than allowed")
	errTooBig      = errors.New("command is larger than max-message-bytes")
	// errGone is returned when the connection has ended, so that the rest of the frame has no reader.
	errGone = errors.New("connection is gone")
)
