package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret      = "0123456789abcdef0123456789abcdef"
	otherSecret = "fedcba9876543210fedcba9876543210"
)

// noon is the time of tests without a clock of their own.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// at returns the Unix seconds of some seconds after noon.
func at(seconds int64) int64 { return noon().Unix() + seconds }

// pairs are signing keys by name. They are made once, because RSA keys take long to make.
var pairs = sync.OnceValue(func() map[string]crypto.Signer {
	made := map[string]crypto.Signer{}
	for name, bits := range map[string]int{"rsa": 2048, "rsa other": 2048} {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		made[name] = k
	}
	for name, curve := range map[string]elliptic.Curve{
		"p224":       elliptic.P224(),
		"p256":       elliptic.P256(),
		"p256 other": elliptic.P256(),
		"p384":       elliptic.P384(),
		"p521":       elliptic.P521(),
	} {
		k, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			panic(err)
		}
		made[name] = k
	}
	_, made["ed25519"], _ = ed25519.GenerateKey(rand.Reader)
	_, made["ed25519 other"], _ = ed25519.GenerateKey(rand.Reader)
	return made
})

// publicPEM returns the public key of a pair in PEM.
func publicPEM(t testing.TB, pair string) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pairs()[pair].Public())
	require.NoError(t, err)
	return block("PUBLIC KEY", der)
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// signer signs the tokens of a test.
type signer struct {
	algorithm string
	key       any
	header    map[string]any
}

func hs256() signer { return signer{algorithm: "HS256", key: []byte(secret)} }

func (s signer) with(name string, value any) signer {
	s.header = maps.Clone(s.header)
	if s.header == nil {
		s.header = map[string]any{}
	}
	s.header[name] = value
	return s
}

// token returns a token with claims, which are JSON text or a value that is encoded as JSON.
func (s signer) token(t testing.TB, claims any) string {
	t.Helper()
	text, ok := claims.(string)
	if !ok {
		b, err := json.Marshal(claims)
		require.NoError(t, err)
		text = string(b)
	}
	header := map[string]any{"typ": "JWT", "alg": s.algorithm}
	maps.Copy(header, s.header)
	h, err := json.Marshal(header)
	require.NoError(t, err)
	return s.sign(t, segment(h)+"."+segment([]byte(text)))
}

func (s signer) sign(t testing.TB, parts string) string {
	t.Helper()
	signature, err := jwt.GetSigningMethod(s.algorithm).Sign(parts, s.key)
	require.NoError(t, err)
	return parts + "." + segment(signature)
}

func segment(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jsonWith returns a JSON object with one more member.
func jsonWith(name, value string) string { return fmt.Sprintf(`{"sub":"ann",%q:%s}`, name, value) }

// verifier returns a Verifier with the secret, at noon.
func verifier(t testing.TB, change func(*Options)) *Verifier {
	t.Helper()
	o := Options{Key: secret, Now: noon}
	if change != nil {
		change(&o)
	}
	v, err := New(o)
	require.NoError(t, err)
	return v
}

// requireSecretive requires that an error holds neither the keys nor a part of the token, except for parts so short
// that they could be one of our words.
func requireSecretive(t testing.TB, err error, token string) {
	t.Helper()
	if err == nil {
		return
	}
	for part := range strings.SplitSeq(token, ".") {
		if len(part) >= 12 {
			require.NotContains(t, err.Error(), part)
		}
	}
	require.NotContains(t, err.Error(), secret)
	require.NotContains(t, err.Error(), otherSecret)
}
