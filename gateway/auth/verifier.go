package auth

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// MaxToken is the maximum length of a token, in bytes. A longer one is refused before it is parsed.
const MaxToken = 16 << 10

// Verifier verifies tokens. It is safe for use by many goroutines.
type Verifier struct {
	keys      source
	parser    *jwt.Parser
	validator *jwt.Validator
	now       func() time.Time
	// warnOfOverride logs once that tokens have a claim of Centrifugo that does nothing here.
	warnOfOverride func()
}

// source holds the keys that verify tokens.
type source interface {
	// find returns the keys, at least one, that may have signed a token with this kid and algorithm, or an error that
	// wraps ErrInvalid or ErrUnavailable.
	find(ctx context.Context, id, algorithm string) ([]jwt.VerificationKey, error)
	// run keeps the keys up to date until ctx ends, and then returns nil.
	run(ctx context.Context) error
}

// New returns a Verifier. It fetches nothing yet: a JWK Set is fetched by Run, or for the first token. It returns the
// error of Check.
func New(o Options) (*Verifier, error) {
	if err := Check(o); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	v := &Verifier{
		parser: jwt.NewParser(jwt.WithValidMethods(algorithms()), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation()),
		now:    o.Now,
		warnOfOverride: sync.OnceFunc(func() {
			o.Logger.Warn("tokens have an override of what a channel does; it does nothing here: the channel's rule decides")
		}),
	}
	rules := []jwt.ParserOption{jwt.WithIssuedAt(), jwt.WithLeeway(o.Leeway), jwt.WithTimeFunc(o.Now)}
	if o.Issuer != "" {
		rules = append(rules, jwt.WithIssuer(o.Issuer))
	}
	if o.Audience != "" {
		rules = append(rules, jwt.WithAudience(o.Audience))
	}
	v.validator = jwt.NewValidator(rules...)
	switch {
	case o.JWKSURL != "":
		v.keys = newKeySet(o)
	case o.Key != "":
		keys, err := newFixedKeys(o.Key, o.PreviousKey)
		if err != nil {
			return nil, err
		}
		v.keys = keys
	}
	return v, nil
}

// algorithms returns the names of all algorithms. The key decides which of them it verifies.
func algorithms() []string {
	return []string{
		"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
	}
}

// On reports whether a key or a JWK Set is configured.
func (v *Verifier) On() bool { return v.keys != nil }

// Run keeps the keys of a JWK Set up to date until ctx ends. Without one it returns at once. It never returns an error.
func (v *Verifier) Run(ctx context.Context) error {
	if v.keys == nil {
		return nil
	}
	return v.keys.run(ctx)
}

// Connection verifies a connection token. Its errors wrap ErrOff, ErrInvalid, ErrExpired or ErrUnavailable.
func (v *Verifier) Connection(ctx context.Context, token string) (*Claims, error) {
	p, err := v.verifySignature(ctx, token)
	switch {
	case err != nil:
		return nil, err
	case p.has(claimChannel):
		return nil, invalid("a token with the claim channel is for a subscription")
	}
	c, err := p.connection()
	if err != nil {
		return nil, err
	}
	if err := v.validate(p, c.ExpiresAt); err != nil {
		return nil, err
	}
	return c, nil
}

// Subscription verifies a token for the subscription of a connection's user, which may be empty, to a channel. Its
// errors wrap ErrOff, ErrInvalid, ErrExpired or ErrUnavailable.
func (v *Verifier) Subscription(ctx context.Context, token, user, channel string) (*SubscriptionClaims, error) {
	p, err := v.verifySignature(ctx, token)
	switch {
	case err != nil:
		return nil, err
	case !p.has(claimChannel):
		return nil, invalid("a token without the claim channel is none for a subscription")
	}
	c, err := p.subscription()
	switch {
	case err != nil:
		return nil, err
	case c.Channel != channel:
		return nil, invalid("it is for another channel")
	case c.User != user:
		return nil, invalid("it is for another user than the connection's")
	}
	if err := v.validate(p, c.ExpiresAt); err != nil {
		return nil, err
	}
	return c, nil
}

// verifySignature returns the claims of a token (RFC 7519, section 7.2) with a valid signature (RFC 7515, section 5.2).
// Its errors wrap ErrOff, ErrInvalid or ErrUnavailable.
func (v *Verifier) verifySignature(ctx context.Context, token string) (*payload, error) {
	switch {
	case v.keys == nil:
		return nil, ErrOff
	case token == "":
		return nil, invalid("it is empty")
	case len(token) > MaxToken:
		return nil, invalid("it is longer than %d bytes", MaxToken)
	case strings.ContainsAny(token, "\r\n"):
		// The decoder of base64 would skip line breaks.
		return nil, invalid("it holds a line break")
	}
	p := &payload{}
	_, err := v.parser.ParseWithClaims(token, p, func(t *jwt.Token) (any, error) { return v.keysOf(ctx, t) })
	if err != nil {
		return nil, reason(err)
	}
	if p.claims == nil {
		// null is JSON too, and does not call UnmarshalJSON.
		return nil, invalid("its claims are no JSON object")
	}
	return p, p.read(p)
}

// keysOf returns the keys for a token's JOSE header (RFC 7515, section 4).
func (v *Verifier) keysOf(ctx context.Context, t *jwt.Token) (any, error) {
	if _, ok := t.Header["crit"]; ok {
		return nil, invalid("its header demands an extension (crit)")
	}
	id, present := t.Header["kid"]
	name, isString := id.(string)
	if present && !isString {
		return nil, invalid("the kid of its header is no string")
	}
	keys, err := v.keys.find(ctx, name, t.Method.Alg())
	return jwt.VerificationKeySet{Keys: keys}, err
}

// reason returns an error for one of the library's that repeats nothing of the token.
func reason(err error) error {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return invalid("it is not three parts in base64url, the first two of them JSON objects")
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		return invalid("its algorithm is unknown")
	default:
		return invalid("its signature is wrong or missing")
	}
}

// validate checks the registered claims against the options and the clock (RFC 7519, section 4.1), and that what the
// token is for has not ended, where it ends. exp and that come last, so that only the holder of a token that was valid
// learns that it has expired.
func (v *Verifier) validate(p *payload, end time.Time) error {
	switch err := v.validator.Validate(p); {
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return invalid("its iat is in the future")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return invalid("its nbf is in the future")
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return invalid("its iss is another one")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return invalid("its aud is another one")
	case err != nil:
		return invalid("it lacks iss or aud")
	case !p.expiresAt.IsZero() && !v.now().Before(p.expiresAt):
		return &refusal{ErrExpired, "its exp has passed"}
	case !end.IsZero() && !v.now().Before(end):
		return &refusal{ErrExpired, "its expire_at has passed"}
	}
	if p.overrides {
		v.warnOfOverride()
	}
	return nil
}
