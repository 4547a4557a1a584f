// Package admin is the gateway's private port: health, metrics, the fleet report, and the switches
// that the operator and preStop use. It also holds the client of those switches.
package admin

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/wsfleet/wsfleet/gateway/drain"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Limits of GET contract.PathConnections and of a drain that is asked for.
const (
	defaultListed = 100
	mostListed    = 1000
	longestDrain  = 24 * time.Hour
	largestBody   = 4 << 10
)

// Options are what the port is made of.
type Options struct {
	// TokenDir holds the bearer tokens. Empty: loopback peers only.
	TokenDir string
	Drain    *drain.Machine
	Report   func() contract.GatewayReport
	// Connections lists at most so many open connections.
	Connections func(limit int) []Connection
	Metrics     http.Handler
	Logger      *slog.Logger
}

// Connection is one client in GET contract.PathConnections.
type Connection struct {
	ID          string    `json:"id"`
	User        string    `json:"user,omitempty"`
	Protocol    string    `json:"protocol"`
	RemoteIP    string    `json:"remoteIP"`
	Channels    []string  `json:"channels"`
	ConnectedAt time.Time `json:"connectedAt"`
	QueuedBytes int       `json:"queuedBytes"`
}

// Handler serves the private port.
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
	// Without tokens a web page on this machine could post to loopback.
	return http.NewCrossOriginProtection().Handler(mux)
}

type port struct{ Options }

// livez says that the process answers. What it depends on is no reason to restart it.
func (p *port) livez(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "alive"})
}

// readyz says whether clients should be sent here. A gateway that lost its broker stays ready: when
// all lose it at once, clients must stay where they are.
func (p *port) readyz(w http.ResponseWriter, _ *http.Request) {
	report := p.Report()
	status, ready := http.StatusOK, "ready"
	switch {
	case report.State != contract.StateServing:
		status, ready = http.StatusServiceUnavailable, string(report.State)
	case report.Broker.State == contract.BrokerConnecting:
		status, ready = http.StatusServiceUnavailable, "waiting for the broker"
	}
	answer(w, status, map[string]string{"status": ready, "state": string(report.State), "broker": string(report.Broker.State)})
}

func (p *port) fleet(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, p.Report())
}

func (p *port) drain(w http.ResponseWriter, r *http.Request) {
	var request contract.DrainRequest
	body := http.MaxBytesReader(w, r.Body, largestBody)
	if err := json.NewDecoder(body).Decode(&request); err != nil && !errors.Is(err, io.EOF) {
		refuse(w, http.StatusBadRequest, "the body is not the JSON of a drain request: "+err.Error())
		return
	}
	timeout := time.Duration(request.TimeoutSeconds) * time.Second
	if request.TimeoutSeconds < 0 || request.TimeoutSeconds > int(longestDrain/time.Second) {
		refuse(w, http.StatusBadRequest, "timeoutSeconds: give 0 (as configured) to 86400")
		return
	}
	if request.Reason == "" {
		request.Reason = "admin"
	}
	p.Drain.Start(drain.Request{Reason: request.Reason, Timeout: timeout})
	answer(w, http.StatusAccepted, p.Report())
}

func (p *port) undrain(w http.ResponseWriter, _ *http.Request) {
	if err := p.Drain.Undrain(); err != nil {
		refuse(w, http.StatusConflict, err.Error())
		return
	}
	answer(w, http.StatusOK, p.Report())
}

func (p *port) connections(w http.ResponseWriter, r *http.Request) {
	limit := defaultListed
	if v := r.URL.Query().Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > mostListed {
			refuse(w, http.StatusBadRequest, "limit: give a number from 1 to "+strconv.Itoa(mostListed))
			return
		}
		limit = n
	}
	answer(w, http.StatusOK, map[string]any{"total": p.Report().Connections, "connections": p.Connections(limit)})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A peer that is gone cannot be told so.
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"error": message})
}
