package serverapi

import (
	"net/http"
	"strings"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Libraries send the key in headerKey. Older ones send "Authorization: apikey KEY".
const (
	headerKey = "X-API-Key"
	schemeKey = "apikey"
)

// authorise returns an *apiError for a request without a valid key, and when no key is configured.
func (a *API) authorise(r *http.Request) *apiError {
	switch {
	case !a.options.Keys.On():
		return &apiError{
			Code:    codeForbidden,
			Message: "the server API is off: set api-key (environment " + contract.EnvPrefix + "API_KEY)",
			status:  http.StatusForbidden,
		}
	case !a.options.Keys.Match(requestKey(r.Header)):
		return &apiError{
			Code:    codeUnauthorized,
			Message: "unauthorized: send the configured key in the " + headerKey + " header",
			status:  http.StatusUnauthorized,
		}
	}
	return nil
}

// requestKey returns the key of a request, or an empty string.
func requestKey(h http.Header) string {
	if key := h.Get(headerKey); key != "" {
		return key
	}
	scheme, key, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, schemeKey) {
		return ""
	}
	return strings.TrimSpace(key)
}
