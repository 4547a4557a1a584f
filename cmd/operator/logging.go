package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/go-logr/logr"
)

// logLevelPath is where the level of a running operator is read with GET and set with PUT.
const logLevelPath = "/log-level"

// maxLevelBytes bounds the body of a request for another level.
const maxLevelBytes = 64

// newLogger returns a logger that writes to out in the format of the flags, and its level. The level may be set at any
// time. newLogger returns a usageError when --log-level or --log-format has an unknown value.
func (s *settings) newLogger(out io.Writer) (logr.Logger, *slog.LevelVar, error) {
	level := &slog.LevelVar{}
	if err := setLevel(level, s.logLevel); err != nil {
		return logr.Logger{}, nil, usagef("--log-level is %w", err)
	}
	options := &slog.HandlerOptions{Level: level}
	switch s.logFormat {
	case "json":
		return logr.FromSlogHandler(slog.NewJSONHandler(out, options)), level, nil
	case "text":
		return logr.FromSlogHandler(slog.NewTextHandler(out, options)), level, nil
	default:
		return logr.Logger{}, nil, usagef("--log-format is %q: it must be json or text", s.logFormat)
	}
}

// setLevel sets level by its name. It returns an error, and leaves level as it is, when the name is unknown.
func setLevel(level *slog.LevelVar, name string) error {
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return fmt.Errorf("%q: it must be debug, info, warn or error", name)
	}
	return nil
}

// levelHandler answers GET with the level of the log, and PUT, whose body is the name of a level, by setting it. It
// does not ask for credentials; the caller must serve it only to clients that are authorized.
func levelHandler(level *slog.LevelVar, log logr.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
		case http.MethodPut:
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLevelBytes))
			if err == nil {
				err = setLevel(level, strings.TrimSpace(string(body)))
			}
			if err != nil {
				http.Error(w, "the level is "+err.Error(), http.StatusBadRequest)
				return
			}
			log.Info("The log level was set", "level", levelName(level))
		default:
			w.Header().Set("Allow", "GET, PUT")
			http.Error(w, "use GET or PUT", http.StatusMethodNotAllowed)
			return
		}
		_, _ = io.WriteString(w, levelName(level)+"\n")
	})
}

func levelName(level *slog.LevelVar) string { return strings.ToLower(level.Level().String()) }
