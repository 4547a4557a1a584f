package auth

import (
	"errors"
	"net/http"
	"strings"
)

// What can be wrong with the way in which a request carries its token.
var (
	errManyTokens = errors.New("the request holds different tokens; send one, in the Authorization header or as the parameter token")
	errNoToken    = errors.New("the request has a place for a token and none in it; send one, or leave the place out")
)

// BearerToken finds the token of a request: in the Authorization header (RFC 6750), or in the query
// as token, for browsers, whose WebSockets set no headers. Both may be there when they are the same. A
// header of another scheme is not for the gateway.
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
