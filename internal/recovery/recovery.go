// Package recovery turns recovered panics into errors and log attributes. A panic's value may hold a client's payload
// or a token, so the log gets its type and the stack, never the value. All packages of the gateway use it.
package recovery

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
)

// ErrPanic is returned in the place of a panic that was recovered. The log says more.
var ErrPanic = errors.New("a bug in the gateway")

// Attr returns what the log may have of a recovered panic: the type of its value and the stack. Errors of the runtime
// consist of indexes, lengths and types, so that their text is included. Call Attr where the panic is recovered.
func Attr(value any) slog.Attr {
	attrs := []any{slog.String("type", fmt.Sprintf("%T", value))}
	// A type assertion and not errors.As: an error that wraps a runtime.Error may hold more than its text.
	if e, ok := value.(runtime.Error); ok {
		attrs = append(attrs, slog.String("error", e.Error()))
	}
	return slog.Group("panic", append(attrs, slog.String("stack", string(debug.Stack())))...)
}

// ToError recovers a panic of the deferring function, logs it as message with attrs, and sets *err to ErrPanic. Without
// a panic it does nothing. Defer it where a bug that one client meets must not end the gateway, and a caller waits for
// an answer.
func ToError(err *error, log *slog.Logger, message string, attrs ...any) {
	if p := recover(); p != nil {
		log.Error(message, append(attrs, Attr(p))...)
		*err = ErrPanic
	}
}
