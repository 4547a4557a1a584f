package transport

import "net/http"

// AffinityCookie is the cookie by which the proxies in front of a gateway keep each client on its gateway.
type AffinityCookie struct {
	Name, Path string
	// Value is what the proxies route by to this gateway. The gateway sets the cookie itself, unless Value is empty and
	// the proxies do.
	Value string
	// Secure reports that browsers send the cookie over TLS only.
	Secure bool
}

// header returns the value of Set-Cookie in the response 101 to a client. It is empty when the client needs none,
// because its cookie names this gateway already.
func (a *AffinityCookie) header(r *http.Request) string {
	if a == nil || a.Value == "" {
		return ""
	}
	if sent, err := r.Cookie(a.Name); err == nil && sent.Value == a.Value {
		return ""
	}
	return a.cookie(a.Value).String()
}

// expired returns the value of Set-Cookie that removes the cookie, so that a proxy sends the client's next attempt to
// another gateway.
func (a *AffinityCookie) expired() string {
	cookie := a.cookie("") //nolint:gosec // as in cookie
	cookie.MaxAge = -1
	return cookie.String()
}

// cookie returns the cookie with a value. It says nothing secret: it names a gateway.
func (a *AffinityCookie) cookie(value string) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // browsers that connect without TLS need it too
		Name:     a.Name,
		Value:    value,
		Path:     a.Path,
		HttpOnly: true,
		Secure:   a.Secure,
	}
}
