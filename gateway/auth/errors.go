package auth

import (
	"errors"
	"fmt"
)

// Errors of verifying a token. The errors that wrap them say why, for a log at debug level: they hold nothing of the
// token or of a key.
var (
	// ErrOff is returned when no key is configured.
	ErrOff = errors.New("tokens are not configured")
	// ErrInvalid is returned for a token that will never be accepted.
	ErrInvalid = errors.New("invalid token")
	// ErrExpired is returned for a token that was valid: the client should get another.
	ErrExpired = errors.New("token expired")
	// ErrUnavailable is returned when the key that the token names cannot be fetched now.
	ErrUnavailable = errors.New("token keys unavailable")
)

// refusal wraps one of the errors above and adds the reason.
type refusal struct {
	kind   error
	reason string
}

func (r *refusal) Error() string { return r.kind.Error() + ": " + r.reason }

func (r *refusal) Unwrap() error { return r.kind }

func invalid(format string, args ...any) error {
	return &refusal{ErrInvalid, fmt.Sprintf(format, args...)}
}

func unavailable(reason string) error { return &refusal{ErrUnavailable, reason} }
