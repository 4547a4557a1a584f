// Package recovery says what the log may tell of a panic that was recovered. What a bug panics with can
// hold a client's payload or a token, so the value itself is never told.
package recovery

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
)

// Attr tells of what was panicked with its type, and of where the stack. The runtime's own errors
// hold indexes, lengths and types, so that their text is told too. Call it where the panic is recovered.
func Attr(value any) slog.Attr {
	about := []any{slog.String("type", fmt.Sprintf("%T", value))}
	// Not errors.As: what wraps one may say more.
	if e, ok := value.(runtime.Error); ok {
		about = append(about, slog.String("error", e.Error()))
	}
	return slog.Group("panic", append(about, slog.String("stack", string(debug.Stack())))...)
}

// ToError makes a panic an error, and has the log say more. Defer it where a bug met by one must not end the
// gateway, and somebody waits for an answer.
func ToError(err *error, bug error, log *slog.Logger, what string, attrs ...any) {
	if p := recover(); p != nil {
		log.Error(what, append(attrs, Attr(p))...)
		*err = bug
	}
}
