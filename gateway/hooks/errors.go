package hooks

import (
	"errors"
	"fmt"
)

// ErrDown means that the backend gave no usable answer. Its text is for logs, not for clients.
var ErrDown = errors.New("the backend is down")

// Error is an error of the backend that the client gets. Its text leaves out the message, which only the client may
// see.
type Error struct {
	Code    uint32 `json:"code"`
	Message string `json:"message"`
	// Temporary means that the same request may succeed later.
	Temporary bool `json:"temporary"`
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("the backend answered error %d", e.Code) }

// Disconnect is the backend's order to close the client's connection. It implements error.
type Disconnect struct {
	Code   uint32 `json:"code"`
	Reason string `json:"reason"`
}

// Error implements error. It leaves out the reason, which only the client may see.
func (d *Disconnect) Error() string {
	return fmt.Sprintf("the backend disconnects the client with %d", d.Code)
}

// The codes that backends may use: those of the Centrifuge protocol, and those for applications.
const (
	minProtocolError, maxProtocolError           = 100, 112
	minAppError, maxAppError                     = 400, 1999
	minProtocolDisconnect, maxProtocolDisconnect = 3500, 3507
	minAppDisconnect, maxAppDisconnect           = 4000, 4999
	// maxReasonBytes is the room for a reason in a close frame (RFC 6455, section 5.5).
	maxReasonBytes = 123
)

// check returns an error when the code is not allowed.
func (e *Error) check() error {
	if within(e.Code, minProtocolError, maxProtocolError) || within(e.Code, minAppError, maxAppError) {
		return nil
	}
	return fmt.Errorf("error.code is %d; use %d to %d", e.Code, minAppError, maxAppError)
}

// check returns an error when the code is not allowed or the reason is too long.
func (d *Disconnect) check() error {
	switch {
	case !within(d.Code, minProtocolDisconnect, maxProtocolDisconnect) &&
		!within(d.Code, minAppDisconnect, maxAppDisconnect):
		return fmt.Errorf("disconnect.code is %d; use %d to %d", d.Code, minAppDisconnect, maxAppDisconnect)
	case len(d.Reason) > maxReasonBytes:
		return fmt.Errorf("disconnect.reason has %d bytes; a close frame holds %d", len(d.Reason), maxReasonBytes)
	}
	return nil
}

// within reports whether code is in the range.
func within(code, first, last uint32) bool { return first <= code && code <= last }

// failure says why there is no usable answer. It wraps ErrDown.
type failure struct {
	reason string
	// responded means that the backend responded with something that cannot be used. The client is refused even with the
	// policy Allow, and the breaker does not count it.
	responded bool
}

// Error implements error.
func (f *failure) Error() string { return fmt.Sprintf("%v: %s", ErrDown, f.reason) }

// Unwrap returns ErrDown.
func (f *failure) Unwrap() error { return ErrDown }

// down returns a *failure: the backend did not respond, or said that it cannot for now.
func down(format string, args ...any) error { return &failure{reason: fmt.Sprintf(format, args...)} }

// unusable returns a *failure: the backend responded with something that cannot be used.
func unusable(format string, args ...any) error {
	return &failure{reason: fmt.Sprintf(format, args...), responded: true}
}
