// Package admin serves the gateway's private port: health, metrics, the gateway's report, drains, the connections, the
// server API, streams of channels, the log level, profiles and the web console. It also holds the client of that port,
// which the commands of wsfleet-gateway use. Package gateway mounts Handler.
package admin

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/wsfleet/wsfleet/gateway/drain"
	"github.com/wsfleet/wsfleet/gateway/tail"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// maxBodyBytes is the maximum size of a request's body.
const maxBodyBytes = 4 << 10

// Options are what Handler serves.
type Options struct {
	// TokenDir is the directory with the bearer tokens, as Tokens reads it. When it is empty, the guarded paths
	// answer only callers on loopback.
	TokenDir string
	// Drain is started and undone by requests.
	Drain *drain.Machine
	// Report returns the state of the gateway.
	Report func() contract.GatewayReport
	// Connections returns the open connections that a query selects.
	Connections func(ConnectionQuery) contract.ConnectionList
	// Tail opens the streams of contract.PathTail. A port without tokens refuses them all.
	Tail *tail.Streams
	// API answers contract.PathAPI for callers with a token. A port without tokens refuses them all.
	API http.Handler
	// Metrics answers contract.PathMetrics.
	Metrics http.Handler
	// LogLevel is the level of the gateway's logger, which requests read and change. When it is nil,
	// contract.PathLogLevel does not exist.
	LogLevel *slog.LevelVar
	// Console holds the static files of the web console. When it is nil, there is none.
	Console fs.FS
	Logger  *slog.Logger
}

// Handler returns the handler of the private port.
func Handler(o Options) http.Handler {
	p := &port{Options: o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+contract.PathLivez, p.livez)
	mux.HandleFunc("GET "+contract.PathReadyz, p.readyz)
	mux.Handle("GET "+contract.PathMetrics, o.Metrics)
	mux.HandleFunc("GET "+contract.PathFleet, p.guard(p.fleet))
	mux.HandleFunc("POST "+contract.PathDrain, p.guard(p.drain))
	mux.HandleFunc("POST "+contract.PathUndrain, p.guard(p.undrain))
	mux.HandleFunc("GET "+contract.PathConnections, p.guard(p.connections))
	mux.HandleFunc(contract.PathAPI, p.requireTokens(p.guard(o.API.ServeHTTP)))
	mux.HandleFunc("GET "+contract.PathTail, p.requireTokens(p.guard(p.tail)))
	p.handleProfiles(mux)
	if o.LogLevel != nil {
		mux.HandleFunc("GET "+contract.PathLogLevel, p.guard(p.logLevel))
		mux.HandleFunc("PUT "+contract.PathLogLevel, p.guard(p.setLogLevel))
	}
	if o.Console != nil {
		mux.Handle("GET "+contract.PathConsole, serveConsole(o.Console))
	}
	// A port without tokens trusts loopback, which a web page in a browser on this machine could post to.
	return http.NewCrossOriginProtection().Handler(mux)
}

// PublicHealthHandler returns the handler of contract.PathLivez and contract.PathReadyz for the public port. It uses
// Drain and Report of the options.
func PublicHealthHandler(o Options) http.Handler {
	p := &port{Options: o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+contract.PathLivez, p.livez)
	mux.HandleFunc("GET "+contract.PathReadyz, p.publicReadyz)
	return mux
}

// port holds the methods that answer one path each.
type port struct{ Options }

// livez answers 200 always. A restart of this gateway would not bring back a broker that is down.
func (p *port) livez(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "alive"})
}

// readyz reports whether clients should connect to this gateway. A gateway that drains stays ready until another one
// serves. A gateway that lost its broker stays ready: when the broker is down for all gateways at once, clients must
// stay where they are.
func (p *port) readyz(w http.ResponseWriter, _ *http.Request) {
	report := p.Report()
	status, text := p.readiness(report)
	answer(w, status, map[string]string{
		"status": text,
		"state":  string(report.State),
		"broker": string(report.Broker.State),
	})
}

// readiness returns the HTTP status of the readiness probe, and what it means.
func (p *port) readiness(report contract.GatewayReport) (status int, text string) {
	switch {
	case !p.Drain.Ready():
		return http.StatusServiceUnavailable, string(report.State)
	case report.Broker.State == contract.BrokerConnecting:
		return http.StatusServiceUnavailable, "waiting for the broker"
	}
	return http.StatusOK, "ready"
}

// publicReadyz is readyz for the public port. It tells strangers nothing of the broker.
func (p *port) publicReadyz(w http.ResponseWriter, _ *http.Request) {
	status, text := p.readiness(p.Report())
	if status != http.StatusOK {
		text = "not ready"
	}
	answer(w, status, map[string]string{"status": text})
}

func (p *port) fleet(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, p.Report())
}

func (p *port) drain(w http.ResponseWriter, r *http.Request) {
	var request contract.DrainRequest
	body := http.MaxBytesReader(w, r.Body, maxBodyBytes)
	if err := json.NewDecoder(body).Decode(&request); err != nil && !errors.Is(err, io.EOF) {
		refuse(w, http.StatusBadRequest, "the body is not the JSON of a drain request: "+err.Error())
		return
	}
	timeout := time.Duration(request.TimeoutSeconds) * time.Second
	if request.TimeoutSeconds < 0 || request.TimeoutSeconds > int(contract.MaxDrainTimeout/time.Second) {
		refuse(w, http.StatusBadRequest, "timeoutSeconds: give 0 (as configured) to 86400")
		return
	}
	if request.ClosesPerSecond < 0 || request.ClosesPerSecond > contract.MaxClosesPerSecond {
		refuse(w, http.StatusBadRequest,
			"closesPerSecond: give 0 (as configured) to "+strconv.Itoa(contract.MaxClosesPerSecond))
		return
	}
	if request.Keep < 0 {
		refuse(w, http.StatusBadRequest,
			"keep: give 0 (a drain of all connections) or the number of connections to leave open")
		return
	}
	if request.Reason == "" {
		request.Reason = "admin"
	}
	wanted := drain.Request{
		Reason: request.Reason, Timeout: timeout, HandOver: request.HandOver, ServeAgain: request.ServeAgain,
		PerSecond: request.ClosesPerSecond, Keep: request.Keep,
	}
	if !request.JoinOnly {
		p.Drain.Start(wanted) //nolint:contextcheck // the drain outlives the request
	} else if err := p.Drain.Join(wanted); err != nil {
		refuse(w, http.StatusConflict, err.Error())
		return
	}
	answer(w, http.StatusAccepted, p.Report())
}

func (p *port) undrain(w http.ResponseWriter, _ *http.Request) {
	if err := p.Drain.Undrain(); err != nil {
		refuse(w, http.StatusConflict, err.Error())
		return
	}
	answer(w, http.StatusOK, p.Report())
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// Writing fails when the caller has closed its connection. There is nothing left to do then.
	_ = json.NewEncoder(w).Encode(v)
}

// refuse writes an error that names what to change.
func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"error": message})
}
