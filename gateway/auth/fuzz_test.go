package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzConnection verifies any text. An accepted one is signed, which is checked here in another way than the gateway's;
// a refused one has one of the errors, which repeats nothing of the text.
func FuzzConnection(f *testing.F) {
	good := hs256().token(f,
		`{"sub":"ann","info":{"a":1},"channels":["news"],"caps":[{"channels":["*"],"allow":["sub"]}]}`)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(segment([]byte(`{"alg":"none"}`)) + ".e30.")
	f.Add(hs256().with("crit", []string{"b64"}).token(f, `{}`))
	f.Add(hs256().token(f, `{"sub":"ann","channel":"news"}`))
	f.Add(hs256().token(f, `{"exp":1}`))
	f.Add("..")
	v := verifier(f, nil)
	f.Fuzz(func(t *testing.T, token string) {
		c, err := v.Connection(t.Context(), token)
		if err != nil {
			require.Nil(t, c)
			require.True(t, errors.Is(err, ErrInvalid) || errors.Is(err, ErrExpired))
			requireSecretive(t, err, token)
			return
		}
		signed, signature := token[:strings.LastIndexByte(token, '.')], token[strings.LastIndexByte(token, '.')+1:]
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(signed))
		require.Equal(t, segment(mac.Sum(nil)), signature)
	})
}

// FuzzClaims verifies tokens with any signed claims. The result is within its bounds, and JSON in one line.
func FuzzClaims(f *testing.F) {
	for _, claims := range []string{
		`{"sub":"ann","exp":1900000000,"iat":1,"nbf":1.5,"iss":"i","aud":["a"],"info":{"a":[1, 2]},` +
			`"channels":["news"],"caps":[{"channels":["chat:*"],"allow":["sub","hst"]}]}`,
		`{"b64info":"eyJhIjogMX0=","aud":"a","caps":[{"match":"wildcard"}]}`, `{"channel":"news","sub":"","allow":["pub"]}`,
		`{"sub":"a","sub":"b"}`, `null`, `[]`, `{"exp":1e400}`,
	} {
		f.Add(claims)
	}
	v := verifier(f, nil)
	f.Fuzz(func(t *testing.T, claims string) {
		token := hs256().token(t, claims)
		c, err := v.Connection(t.Context(), token)
		requireSecretive(t, err, token)
		if err == nil {
			requireBounded(t, c)
			var object map[string]json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(claims), &object))
			require.True(t, object["channel"] == nil || string(object["channel"]) == "null")
		}
		s, err2 := v.Subscription(t.Context(), token, "", "news")
		requireSecretive(t, err2, token)
		if err2 == nil {
			require.Error(t, err, "no token is of both kinds")
			require.Equal(t, "news", s.Channel)
			require.Empty(t, s.User)
		}
	})
}

func requireBounded(t *testing.T, c *Claims) {
	t.Helper()
	require.LessOrEqual(t, len(c.User), MaxUser)
	require.LessOrEqual(t, len(c.Info), MaxInfo)
	require.LessOrEqual(t, len(c.Channels), MaxChannels)
	require.LessOrEqual(t, len(c.Caps), MaxCaps)
	require.NotContains(t, string(c.Info), "\n")
	b, err := json.Marshal(c)
	require.NoError(t, err)
	require.NotContains(t, string(b), "\n")
	require.True(t, c.ExpiresAt.IsZero() || c.ExpiresAt.After(noon()))
	for _, name := range c.Channels {
		require.True(t, c.Allows(Subscribe, name))
	}
	c.Allows(Publish, "news")
}

// FuzzJWKS reads any answer of an endpoint. Its keys are public ones, each with algorithms.
func FuzzJWKS(f *testing.F) {
	f.Add([]byte(jwks(jwk(f, "p256", nil), jwk(f, "ed25519", nil), jwk(f, "rsa", nil))))
	f.Add([]byte(jwks(`{"kty":"oct","k":"AAAA"}`, `{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}`)))
	f.Add([]byte(`{"keys":null}`))
	s := &keySet{logger: slog.New(slog.DiscardHandler)}
	f.Fuzz(func(t *testing.T, answer []byte) {
		keys, err := s.read(answer)
		require.Equal(t, err != nil, len(keys) == 0)
		require.LessOrEqual(t, len(keys), maxKeys)
		for _, k := range keys {
			require.NotEmpty(t, k.algorithms)
			require.True(t, k.equal(k))
			for _, a := range k.algorithms {
				require.Contains(t, algorithms(), a)
				require.False(t, strings.HasPrefix(a, "HS"))
			}
		}
	})
}
