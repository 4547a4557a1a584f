package hooks

import (
	"errors"
	"fmt"
)

// ErrDown is a backend that did not answer, or not in a way that counts. Its text is for logs, not
// for clients.
var ErrDown = errors.New("the backend is down")

// Error is a backend's no, for the client to see. As text it leaves the message out, which is
// between those two.
type Error struct {
	Code      uint32 `json:"code"`
	Message   string `json:"message"`
	Temporary bool   `json:"temporary"`
}

func (e *Error) Error() string { return fmt.Sprintf("the backend answered error %d", e.Code) }

// Disconnect is a backend's wish to be rid of the client.
type Disconnect struct {
	Code   uint32 `json:"code"`
	Reason string `json:"reason"`
}

func (d *Disconnect) Error() string {
	return fmt.Sprintf("the backend disconnects the client with %d", d.Code)
}

// Codes that backends may use: the protocol's own, and those left to applications.
const (
	firstKnownError, lastKnownError           = 100, 112
	firstOwnError, lastOwnError               = 400, 1999
	firstKnownDisconnect, lastKnownDisconnect = 3500, 3507
	firstOwnDisconnect, lastOwnDisconnect     = 4000, 4999
	// longestReason is what a close frame holds besides its code.
	longestReason = 123
)

func (e *Error) check() error {
	if within(e.Code, firstKnownError, lastKnownError) || within(e.Code, firstOwnError, lastOwnError) {
		return nil
	}
	return fmt.Errorf("error.code is %d; use %d to %d", e.Code, firstOwnError, lastOwnError)
}

func (d *Disconnect) check() error {
	switch {
	case !within(d.Code, firstKnownDisconnect, lastKnownDisconnect) && !within(d.Code, firstOwnDisconnect, lastOwnDisconnect):
		return fmt.Errorf("disconnect.code is %d; use %d to %d", d.Code, firstOwnDisconnect, lastOwnDisconnect)
	case len(d.Reason) > longestReason:
		return fmt.Errorf("disconnect.reason has %d bytes; a close frame holds %d", len(d.Reason), longestReason)
	}
	return nil
}

func within(code, first, last uint32) bool { return first <= code && code <= last }

// failure is why there is no answer. It is an ErrDown.
type failure struct {
	reason string
	// meant: somebody was there and answered, only not in a way that can be used. Whatever it was, it
	// was no yes: it is refused even where Allow holds, and does not count against the backend.
	meant bool
}

func (f *failure) Error() string { return fmt.Sprintf("%v: %s", ErrDown, f.reason) }
func (f *failure) Unwrap() error { return ErrDown }

func down(format string, args ...any) error { return &failure{reason: fmt.Sprintf(format, args...)} }
func unusable(format string, args ...any) error {
	return &failure{reason: fmt.Sprintf(format, args...), meant: true}
}
