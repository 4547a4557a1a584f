package auth

import (
	"errors"
	"net/http"
	"strings"
)

// Errors of BearerToken. Their texts are shown to the client's developer.
var (
	errManyTokens = errors.New(
		"the request holds different tokens; send one, in the Authorization header or as the parameter token")
	errNoToken = errors.New("the request has a place for a token and none in it; send one, or leave the place out")
)

// BearerToken returns the token of a request: that of the Authorization header (RFC 6750, section 2.1), or of the query
// parameter token, because browsers cannot set headers on a WebSocket. A header of another scheme is ignored. It
// returns an error for an empty token, and for two tokens that differ.
func BearerToken(r *http.Request) (token string, ok bool, err error) {
	tokens := append(headerTokens(r), r.URL.Query()["token"]...)
	for i, t := range tokens {
		switch {
		case t == "":
			return "", false, errNoToken
		case i > 0 && t != token:
			return "", false, errManyTokens
		}
		token = t
	}
	return token, len(tokens) > 0, nil
}

func headerTokens(r *http.Request) (tokens []string) {
	for _, value := range r.Header.Values("Authorization") {
		scheme, token, _ := strings.Cut(strings.TrimSpace(value), " ")
		if strings.EqualFold(scheme, "Bearer") {
			tokens = append(tokens, strings.TrimSpace(token))
		}
	}
	return tokens
}
