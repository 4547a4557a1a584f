package auth

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// MaxToken bounds a token before anything is read of it.
const MaxToken = 16 << 10

// Verifier verifies tokens. It is safe for concurrent use.
type Verifier struct {
	keys      source
	parser    *jwt.Parser
	validator *jwt.Validator
	now       func() time.Time
}

// source is where keys come from.
type source interface {
	// find returns the keys that may have signed a token with this key id and algorithm, at least one.
	find(ctx context.Context, id, algorithm string) ([]jwt.VerificationKey, error)
	// run keeps the keys fresh until the context ends.
	run(ctx context.Context) error
}

// New makes a Verifier and fetches nothing yet: a JWK Set is fetched by Run, or for the first token.
func New(o Options) (*Verifier, error) {
	if err := Check(o); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	v := &Verifier{
		parser: jwt.NewParser(jwt.WithValidMethods(algorithms()), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation()),
		now:    o.Now,
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

// algorithms are all that there are here; which of them a key is for is up to the key.
func algorithms() []string {
	return []string{
		"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
	}
}

// On reports whether there is a source of keys.
func (v *Verifier) On() bool { return v.keys != nil }

// Run keeps the keys of a JWK Set fresh until the context ends. Without one it returns at once.
func (v *Verifier) Run(ctx context.Context) error {
	if v.keys == nil {
		return nil
	}
	return v.keys.run(ctx)
}

// Connection verifies a connection token.
func (v *Verifier) Connection(ctx context.Context, token string) (*Claims, error) {
	p, err := v.signed(ctx, token)
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
	if err := v.judge(p); err != nil {
		return nil, err
	}
	return c, nil
}

// Subscription verifies a token for the subscription of a connection's user, who may be empty, to a
// channel.
func (v *Verifier) Subscription(ctx context.Context, token, user, channel string) (*SubscriptionClaims, error) {
	p, err := v.signed(ctx, token)
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
	if err := v.judge(p); err != nil {
		return nil, err
	}
	return c, nil
}

// signed returns what a token says when its signature is right.
func (v *Verifier) signed(ctx context.Context, token string) (*payload, error) {
	switch {
	case v.keys == nil:
		return nil, ErrOff
	case token == "":
		return nil, invalid("it is empty")
	case len(token) > MaxToken:
		return nil, invalid("it is longer than %d bytes", MaxToken)
	case strings.ContainsAny(token, "\r\n"):
		// The decoder of base64 would skip them.
		return nil, invalid("it holds a line break")
	}
	p := &payload{}
	_, err := v.parser.ParseWithClaims(token, p, func(t *jwt.Token) (any, error) { return v.keysOf(ctx, t) })
	if err != nil {
		return nil, reason(err)
	}
	if p.claims == nil {
		// null is JSON too, and asks no UnmarshalJSON.
		return nil, invalid("its claims are no JSON object")
	}
	return p, p.read(p)
}

// keysOf returns the keys that a token's header asks for.
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

// reason puts the library's errors in words that repeat nothing of the token.
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

// judge holds the registered claims against the options and the clock. exp comes last: a client that is
// told to get another token should have had a good one.
func (v *Verifier) judge(p *payload) error {
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
	}
	return nil
}
