// Package loglevel names the log levels of wsfleet's programs. The gateway's configuration, its private port and
// the command line use it.
package loglevel

import (
	"log/slog"
	"strings"
)

// Names of the levels, from most to least output.
const (
	Debug = "debug"
	Info  = "info"
	Warn  = "warn"
	Error = "error"
)

// Names returns the names of all levels, from most to least output.
func Names() []string { return []string{Debug, Info, Warn, Error} }

// Parse returns the level with one of Names. It reports false for every other text.
func Parse(name string) (level slog.Level, ok bool) {
	switch name {
	case Debug:
		return slog.LevelDebug, true
	case Info:
		return slog.LevelInfo, true
	case Warn:
		return slog.LevelWarn, true
	case Error:
		return slog.LevelError, true
	default:
		return 0, false
	}
}

// Name returns the name of a level that Parse returned.
func Name(level slog.Level) string { return strings.ToLower(level.String()) }
