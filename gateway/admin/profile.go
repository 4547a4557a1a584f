package admin

import (
	"net/http"
	"net/http/pprof"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// handleProfiles adds the Go profiles to the guarded paths. The command line of the process, which package pprof
// can serve too, is left out: it may hold secrets.
func (p *port) handleProfiles(mux *http.ServeMux) {
	mux.HandleFunc("GET "+contract.PathPprof, p.guard(pprof.Index))
	mux.HandleFunc("GET "+contract.PathPprof+"profile", p.guard(pprof.Profile))
	mux.HandleFunc("GET "+contract.PathPprof+"trace", p.guard(pprof.Trace))
}
