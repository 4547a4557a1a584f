package serverapi

import (
	"net/http"
	"strings"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// headerKey is where libraries put the key; older ones send "Authorization: apikey KEY".
const (
	headerKey = "X-API-Key"
	schemeKey = "apikey"
)

// admit refuses whoever has no key.
func (a *API) admit(r *http.Request) *fault {
	switch {
	case !a.options.Keys.On():
		return &fault{Code: codeForbidden, Message: "the server API is off: set api-key (environment " + contract.EnvPrefix + "API_KEY)", status: http.StatusForbidden}
	case !a.options.Keys.Match(presented(r.Header)):
		return &fault{Code: codeUnauthorized, Message: "unauthorized: send the configured key in the " + headerKey + " header", status: http.StatusUnauthorized}
	}
	return nil
}

// presented is the key of a request, or empty.
func presented(h http.Header) string {
	if key := h.Get(headerKey); key != "" {
		return key
	}
	scheme, key, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, schemeKey) {
		return ""
	}
	return strings.TrimSpace(key)
}
