package auth

import (
	"errors"
	"fmt"
)

// What can be wrong with a token. What wraps them says why, for a log at debug level: it holds
// nothing of the token or of a key.
var (
	// ErrOff says that no key is configured.
	ErrOff = errors.New("tokens are not configured")
	// ErrInvalid is final: the same token will not get better.
	ErrInvalid = errors.New("invalid token")
	// ErrExpired says that a token was valid and is over: the client should get another.
	ErrExpired = errors.New("token expired")
	// ErrUnavailable is temporary: the key that the token names could not be fetched.
	ErrUnavailable = errors.New("token keys unavailable")
)

// refusal is one of the errors above and the reason for it.
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
