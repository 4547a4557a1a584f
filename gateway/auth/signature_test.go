package auth

import (
	"context"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// Each algorithm is verified by its own key only: not by another key of its kind, nor by a key of another kind.
func TestVerifierAlgorithms(t *testing.T) {
	keys := map[string]string{
		"secret":        secret,
		"rsa":           publicPEM(t, "rsa"),
		"p256":          publicPEM(t, "p256"),
		"p384":          publicPEM(t, "p384"),
		"p521":          publicPEM(t, "p521"),
		"ed25519":       publicPEM(t, "ed25519"),
		"other secret":  otherSecret,
		"rsa other":     publicPEM(t, "rsa other"),
		"p256 other":    publicPEM(t, "p256 other"),
		"ed25519 other": publicPEM(t, "ed25519 other"),
	}
	for algorithm, pair := range map[string]string{
		"HS256": "secret",
		"HS384": "secret",
		"HS512": "secret",
		"RS256": "rsa",
		"RS384": "rsa",
		"RS512": "rsa",
		"PS256": "rsa",
		"PS384": "rsa",
		"PS512": "rsa",
		"ES256": "p256",
		"ES384": "p384",
		"ES512": "p521",
		"EdDSA": "ed25519",
	} {
		s := signer{algorithm: algorithm, key: []byte(secret)}
		if pair != "secret" {
			s.key = pairs()[pair]
		}
		token := s.token(t, `{"sub":"ann"}`)
		for name, key := range keys {
			c, err := verifier(t, func(o *Options) { o.Key = key }).Connection(t.Context(), token)
			if name == pair {
				require.NoError(t, err, "%s with %s", algorithm, name)
				require.Equal(t, "ann", c.User)
				continue
			}
			require.ErrorIs(t, err, ErrInvalid, "%s with %s", algorithm, name)
			require.Nil(t, c)
		}
	}
}

func TestAlgorithmsMatchTheLibrary(t *testing.T) {
	var registered []string
	for _, algorithm := range jwt.GetAlgorithms() {
		if algorithm != "none" {
			registered = append(registered, algorithm)
		}
	}
	require.ElementsMatch(t, registered, algorithms())
}

func TestVerifierRefusesForgeries(t *testing.T) {
	rsaPEM := publicPEM(t, "rsa")
	claims := `{"sub":"ann"}`
	good := hs256().token(t, claims)
	parts := strings.Split(good, ".")
	none := segment([]byte(`{"alg":"none"}`)) + "." + segment([]byte(claims)) + "."
	for name, test := range map[string]struct{ key, token, reason string }{
		"none":         {secret, none, "signature is wrong or missing"},
		"none, signed": {secret, none + parts[2], "signature is wrong or missing"},
		"None": {secret,
			strings.Replace(none, segment([]byte(`{"alg":"none"}`)), segment([]byte(`{"alg":"None"}`)), 1),
			"algorithm is unknown"},
		"no algorithm": {secret, hs256().sign(t, segment([]byte(`{}`))+"."+parts[1]), "algorithm is unknown"},
		"algorithm is a list": {secret, hs256().with("alg", []string{"HS256"}).token(t, claims),
			"algorithm is unknown"},
		"algorithm in lower case": {secret, hs256().with("alg", "hs256").token(t, claims), "algorithm is unknown"},
		"other secret":            {otherSecret, good, "signature is wrong"},
		"HMAC with RSA's PEM": {rsaPEM, signer{algorithm: "HS256", key: []byte(rsaPEM)}.token(t, claims),
			"no key is for its algorithm HS256"},
		"HMAC with RSA's PEM, bare": {rsaPEM,
			signer{algorithm: "HS256", key: []byte(strings.TrimSpace(rsaPEM))}.token(t, claims),
			"no key is for its algorithm HS256"},
		"ES256 called HS256": {publicPEM(t, "p256"),
			signer{algorithm: "ES256", key: pairs()["p256"]}.with("alg", "HS256").token(t, claims),
			"no key is for its algorithm HS256"},
		"ES256 of P-384": {publicPEM(t, "p384"),
			signer{algorithm: "ES384", key: pairs()["p384"]}.with("alg", "ES256").token(t, claims),
			"no key is for its algorithm ES256"},
		"RS256 called PS256": {rsaPEM,
			signer{algorithm: "RS256", key: pairs()["rsa"]}.with("alg", "PS256").token(t, claims), "signature is wrong"},
		"HS256 called HS512": {secret, hs256().with("alg", "HS512").token(t, claims), "signature is wrong"},
		"other claims": {secret, parts[0] + "." + segment([]byte(`{"sub":"bob"}`)) + "." + parts[2],
			"signature is wrong"},
		"no signature":              {secret, parts[0] + "." + parts[1] + ".", "signature is wrong"},
		"half a signature":          {secret, good[:len(good)-8], "signature is wrong"},
		"two parts":                 {secret, parts[0] + "." + parts[1], "not three parts"},
		"four parts":                {secret, good + "." + parts[2], "not three parts"},
		"five parts, as JWE":        {secret, "e30.e30.e30.e30.e30", "not three parts"},
		"empty":                     {secret, "", "empty"},
		"dots":                      {secret, "..", "not three parts"},
		"padded":                    {secret, good + "=", "not three parts"},
		"trailing bits":             {secret, trailingBits(good), "not three parts"},
		"line break":                {secret, good + "\n", "line break"},
		"line break inside":         {secret, parts[0] + "." + parts[1] + "\r." + parts[2], "line break"},
		"header is no object":       {secret, hs256().sign(t, segment([]byte(`[]`))+"."+parts[1]), "not three parts"},
		"header is null":            {secret, hs256().sign(t, segment([]byte(`null`))+"."+parts[1]), "algorithm is unknown"},
		"demands an extension":      {secret, hs256().with("crit", []string{"exp"}).token(t, claims), "crit"},
		"names its key by a number": {secret, hs256().with("kid", 1).token(t, claims), "kid"},
		"names its key by null":     {secret, hs256().with("kid", nil).token(t, claims), "kid"},
		"brings its own key": {secret,
			signer{
				algorithm: "HS256",
				key:       []byte(otherSecret),
			}.with("jwk", map[string]string{"kty": "oct", "k": segment([]byte(otherSecret))}).token(t, claims),
			"signature is wrong"},
		"as long as a token may be": {secret, good[:len(good)-1] + strings.Repeat("A", MaxToken-len(good)+1),
			"signature is wrong"},
		"longer than a token may be": {secret, good[:len(good)-1] + strings.Repeat("A", MaxToken-len(good)+2),
			"longer than 16384 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			v := verifier(t, func(o *Options) { o.Key = test.key })
			c, err := v.Connection(t.Context(), test.token)
			require.Nil(t, c)
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, test.reason)
			requireSecretive(t, err, test.token)
			_, err = v.Subscription(t.Context(), test.token, "ann", "news")
			require.ErrorIs(t, err, ErrInvalid)
		})
	}
}

// trailingBits changes bits of a token's last character that base64 does not use.
func trailingBits(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last^1])
}

func TestVerifierAcceptsBothKeysDuringRotation(t *testing.T) {
	both := verifier(t, func(o *Options) { o.Key, o.PreviousKey = publicPEM(t, "p256"), secret })
	for _, s := range []signer{{algorithm: "ES256", key: pairs()["p256"]}, hs256()} {
		_, err := both.Connection(t.Context(), s.token(t, `{}`))
		require.NoError(t, err)
	}
	sameKind := verifier(t, func(o *Options) { o.Key, o.PreviousKey = otherSecret, secret })
	for _, s := range []signer{{algorithm: "HS256", key: []byte(otherSecret)}, hs256()} {
		_, err := sameKind.Connection(t.Context(), s.token(t, `{}`))
		require.NoError(t, err)
	}
	_, err := verifier(t, func(o *Options) { o.Key = otherSecret }).Connection(t.Context(), hs256().token(t, `{}`))
	require.ErrorIs(t, err, ErrInvalid)
}

func TestFixedKeysIgnoreKid(t *testing.T) {
	_, err := verifier(t, nil).Connection(t.Context(), hs256().with("kid", "whatever").token(t, `{}`))
	require.NoError(t, err)
}

func TestVerifierOff(t *testing.T) {
	v, err := New(Options{})
	require.NoError(t, err)
	require.False(t, v.On())
	require.NoError(t, v.Run(t.Context()))
	_, err = v.Connection(t.Context(), hs256().token(t, `{}`))
	require.ErrorIs(t, err, ErrOff)
	_, err = v.Subscription(t.Context(), hs256().token(t, `{}`), "", "news")
	require.ErrorIs(t, err, ErrOff)
	require.NotErrorIs(t, err, ErrInvalid)
}

func TestVerifierRunWithoutJWKS(t *testing.T) {
	v := verifier(t, nil)
	require.True(t, v.On())
	require.NoError(t, v.Run(context.Background()))
}
