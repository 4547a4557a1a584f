// Package ratelog writes warnings whose cause can last, such as an unreachable broker, without filling the log. Every
// part of the gateway that would otherwise warn once a message or once an attempt uses it.
package ratelog

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/time/rate"
)

// Interval is the minimum time between two warnings of one Limiter.
const Interval = 10 * time.Second

// Limiter writes at most one warning per Interval and drops the others. Warnings of one cause share a Limiter. It is
// safe for use by many goroutines.
type Limiter struct {
	log  *slog.Logger
	once rate.Sometimes
}

// New returns a Limiter that writes to log.
func New(log *slog.Logger) *Limiter {
	return &Limiter{log: log, once: rate.Sometimes{Interval: Interval}}
}

// Warn writes message with attrs, unless the Limiter has written a warning within the last Interval.
func (l *Limiter) Warn(message string, attrs ...slog.Attr) {
	l.once.Do(func() { l.log.LogAttrs(context.Background(), slog.LevelWarn, message, attrs...) })
}

// WarnError is Warn with err as the attribute "error". It writes nothing when err is nil or wraps context.Canceled,
// which means that the work was given up on purpose.
func (l *Limiter) WarnError(message string, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	l.Warn(message, slog.Any("error", err))
}
