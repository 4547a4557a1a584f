package admin

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/internal/loglevel"
)

// logLevel answers GET contract.PathLogLevel.
func (p *port) logLevel(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, contract.LogLevel{Level: loglevel.Name(p.LogLevel.Level())})
}

// setLogLevel answers PUT contract.PathLogLevel. The level holds until the next change or the end of the process.
func (p *port) setLogLevel(w http.ResponseWriter, r *http.Request) {
	var request contract.LogLevel
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBodyBytes)).Decode(&request); err != nil {
		refuse(w, http.StatusBadRequest, `the body is not JSON like {"level":"debug"}: `+err.Error())
		return
	}
	level, ok := loglevel.Parse(request.Level)
	if !ok {
		refuse(w, http.StatusBadRequest, "level: give one of "+strings.Join(loglevel.Names(), ", "))
		return
	}
	before := p.LogLevel.Level()
	// The change itself is logged when one of the two levels shows it.
	p.LogLevel.Set(min(before, level))
	p.Logger.Info("log level changed", slog.String("from", loglevel.Name(before)), slog.String("to", request.Level))
	p.LogLevel.Set(level)
	p.logLevel(w, r)
}
