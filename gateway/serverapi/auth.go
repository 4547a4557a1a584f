package serverapi

import (
	"net/http"
	"strings"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Libraries send the key in headerKey. Older ones send "Authorization: apikey KEY", and callers that can set no header
// the parameter of the URL, as Centrifugo takes it.
const (
	headerKey    = "X-API-Key"
	schemeKey    = "apikey"
	parameterKey = "api_key"
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
	case !a.options.Keys.Match(requestKey(r)):
		return &apiError{
			Code:    codeUnauthorized,
			Message: "unauthorized: send the configured key in the " + headerKey + " header",
			status:  http.StatusUnauthorized,
		}
	}
	return nil
}

// requestKey returns the key of a request, or an empty string. A header comes before the parameter.
func requestKey(r *http.Request) string {
	if key := r.Header.Get(headerKey); key != "" {
		return key
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, schemeKey):
		return strings.TrimSpace(key)
	case scheme != "":
		return ""
	}
	return r.URL.Query().Get(parameterKey)
}
