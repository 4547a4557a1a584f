package auth

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Defaults of Options.
const (
	DefaultLeeway            = 5 * time.Second
	DefaultPreviousKeyWindow = 10 * time.Minute
)

const (
	maxLeeway            = 5 * time.Minute
	maxPreviousKeyWindow = 24 * time.Hour
)

// Options are what a Verifier is made of. Without Key and JWKSURL tokens are off.
type Options struct {
	// Key is an HMAC secret of at least 32 bytes, taken byte by byte, or a public key in PEM: PKIX, PKCS #1 or a
	// certificate, of which only the key counts.
	Key string
	// PreviousKey is accepted like Key, so that tokens signed before a rotation pass.
	PreviousKey string
	// JWKSURL is the URL of a JWK Set (RFC 7517), instead of Key. Its scheme may be http for an endpoint on loopback or
	// inside a cluster: whatever answers in its place can sign tokens.
	JWKSURL string
	// PreviousKeyWindow is how long a key that has left the JWK Set is accepted.
	PreviousKeyWindow time.Duration
	// Issuer must be a token's iss, unless it is empty.
	Issuer string
	// Audience must be in a token's aud, unless it is empty.
	Audience string
	// Leeway is how far the issuer's clock may be ahead. It holds for iat and nbf, and not for exp, because the end of a
	// token is also the end of the connection.
	Leeway time.Duration
	// HTTPClient fetches the JWK Set. Its CheckRedirect is ignored: redirects are not followed.
	HTTPClient *http.Client
	Logger     *slog.Logger
	Now        func() time.Time
}

// OptionError is an option that cannot be used. It never holds the option's value.
type OptionError struct{ Option, Problem, Remedy string }

func (e *OptionError) Error() string {
	return fmt.Sprintf("%s: %s; %s", e.Option, e.Problem, e.Remedy)
}

// Check returns an error that joins all Problems of the options, and nil when there is none. It fetches nothing.
func Check(o Options) error {
	problems := Problems(o)
	errs := make([]error, 0, len(problems))
	for _, problem := range problems {
		errs = append(errs, problem)
	}
	return errors.Join(errs...)
}

// Problems returns everything that is wrong with the options.
func Problems(o Options) []*OptionError {
	return slices.Concat(checkSource(o), checkKey("Key", o.Key), checkKey("PreviousKey", o.PreviousKey),
		checkURL(o.JWKSURL), checkDuration("Leeway", o.Leeway, maxLeeway),
		checkDuration("PreviousKeyWindow", o.PreviousKeyWindow, maxPreviousKeyWindow))
}

// checkSource checks the options that exclude or need each other.
func checkSource(o Options) (problems []*OptionError) {
	fail := func(option, problem, remedy string) {
		problems = append(problems, &OptionError{option, problem, remedy})
	}
	off := o.Key == "" && o.JWKSURL == ""
	if o.Key != "" && o.JWKSURL != "" {
		fail("JWKSURL", "is set although a key is", "give either a key or the URL of a JWK Set")
	}
	if o.PreviousKey != "" && o.Key == "" {
		fail("PreviousKey", "is set without the key that came after it", "give that too, or leave both out")
	}
	if o.Issuer != "" && off {
		fail("Issuer", "is set, but no token is verified", "give a key or the URL of a JWK Set too, or leave it out")
	}
	if o.Audience != "" && off {
		fail("Audience", "is set, but no token is verified", "give a key or the URL of a JWK Set too, or leave it out")
	}
	return problems
}

func checkKey(option, text string) []*OptionError {
	if text == "" {
		return nil
	}
	if _, err := parseKey(text); err != nil {
		return []*OptionError{{option, err.Error(), "give an HMAC secret of 32 bytes or more, or one public key in PEM"}}
	}
	return nil
}

// checkURL does not repeat the URL: there may be a password in it.
func checkURL(text string) []*OptionError {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "", u.Fragment != "":
		return []*OptionError{{"JWKSURL", "is not the URL of a JWK Set",
			"write https://host/path, or http://host/path on loopback or inside the cluster"}}
	case u.User != nil:
		return []*OptionError{{"JWKSURL", "holds a user or a password",
			"give a URL that needs none: public keys are no secret"}}
	}
	return nil
}

func checkDuration(option string, value, limit time.Duration) []*OptionError {
	if value < 0 || value > limit {
		return []*OptionError{{option, fmt.Sprintf("%v is out of range", value),
			fmt.Sprintf("give a duration up to %v", limit)}}
	}
	return nil
}

func (o Options) withDefaults() Options {
	o.Leeway = cmp.Or(o.Leeway, DefaultLeeway)
	o.PreviousKeyWindow = cmp.Or(o.PreviousKeyWindow, DefaultPreviousKeyWindow)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{Transport: transport()}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// transport returns an HTTP transport that keeps no connections open, because minutes lie between two requests.
func transport() http.RoundTripper {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
	}
}
