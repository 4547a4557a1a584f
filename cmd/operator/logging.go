package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/internal/loglevel"
)

// maxLevelBytes bounds the body of a request for another level.
const maxLevelBytes = 1024

// logSettings are the values of the flags of the log.
type logSettings struct {
	level, format string
}

// register adds the flags to flags, with s as their target. more is added to the description of --log-level.
func (s *logSettings) register(flags *pflag.FlagSet, more string) {
	flags.StringVar(&s.level, "log-level", "info",
		"The minimum `level` of log messages: debug, info, warn or error."+more)
	flags.StringVar(&s.format, "log-format", "json", "The `format` of log messages: json or text.")
}

// start makes all libraries write to a logger to the standard error, and returns what newLogger does.
func (s *logSettings) start() (logr.Logger, *slog.LevelVar, error) {
	log, level, err := s.newLogger(os.Stderr)
	if err != nil {
		return log, nil, err
	}
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	return log, level, nil
}

// newLogger returns a logger that writes to out in the format of the flags, and its level, which may be set at any
// time. It returns a usageError when --log-level or --log-format has an unknown value.
func (s *logSettings) newLogger(out io.Writer) (logr.Logger, *slog.LevelVar, error) {
	level := &slog.LevelVar{}
	if err := level.UnmarshalText([]byte(s.level)); err != nil {
		return logr.Logger{}, nil, usagef("--log-level is %q: it must be debug, info, warn or error", s.level)
	}
	options := &slog.HandlerOptions{Level: level}
	switch s.format {
	case "json":
		return logr.FromSlogHandler(terminatingHandler{slog.NewJSONHandler(out, options)}), level, nil
	case "text":
		return logr.FromSlogHandler(terminatingHandler{slog.NewTextHandler(out, options)}), level, nil
	default:
		return logr.Logger{}, nil, usagef("--log-format is %q: it must be json or text", s.format)
	}
}

// levelHandler serves contract.PathLogLevel: GET returns the level of the log and PUT sets it, both as
// contract.LogLevel, as gateways do on their private port. It does not ask for credentials; the caller must serve it
// only to clients that are authorized.
func levelHandler(level *slog.LevelVar, log logr.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
		case http.MethodPut:
			name, problem := requestedLevel(w, r)
			if problem != "" {
				http.Error(w, problem, http.StatusBadRequest)
				return
			}
			parsed, _ := loglevel.Parse(name)
			before := level.Level()
			// One of the two levels lets the message pass.
			level.Set(min(before, parsed))
			log.Info("The log level was changed", "from", loglevel.Name(before), "to", name)
			level.Set(parsed)
		default:
			w.Header().Set("Allow", "GET, PUT")
			http.Error(w, "use GET or PUT", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		// Writing fails when the client has closed its connection. There is nothing left to do then.
		_ = json.NewEncoder(w).Encode(contract.LogLevel{Level: loglevel.Name(level.Level())})
	})
}

// requestedLevel returns the name of a level from the body of a request, or a message that says what is wrong with it.
func requestedLevel(w http.ResponseWriter, r *http.Request) (name, problem string) {
	var request contract.LogLevel
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLevelBytes)).Decode(&request); err != nil {
		return "", `the body is not JSON like {"level":"debug"}: ` + err.Error()
	}
	if _, ok := loglevel.Parse(request.Level); !ok {
		return "", "level: give one of " + strings.Join(loglevel.Names(), ", ")
	}
	return request.Level, ""
}
