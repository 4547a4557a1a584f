package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// sharedKey has the minimum length. It must not appear in any output.
const sharedKey = "hunter2-hunter2-hunter2-hunter2-"

// keyPair returns an ECDSA key in PEM.
func keyPair(t *testing.T) (public, private string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	public = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	der, err = x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return public, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestLoadReadsAuthSettings(t *testing.T) {
	public, _ := keyPair(t)
	loaded, err := load(t, "anonymous: false\njwt-issuer: https://id.example.com\njwt-audience: chat\n", []string{
		"WSFLEET_JWT_KEY=" + public, "WSFLEET_JWT_PREVIOUS_KEY=" + sharedKey, "WSFLEET_API_KEY=a",
		"WSFLEET_API_PREVIOUS_KEY=b",
	})
	require.NoError(t, err)
	cfg := loaded.Config
	require.False(t, cfg.Anonymous)
	require.Equal(t, []string{public, sharedKey, "https://id.example.com", "chat"},
		[]string{cfg.JWTKey, cfg.JWTPreviousKey, cfg.JWTIssuer, cfg.JWTAudience})
	require.Equal(t, []string{"a", "b"}, []string{cfg.APIKey, cfg.APIPreviousKey})

	// YAML writes a key of several lines as a block.
	loaded, err = load(t, "jwt-key: |\n  "+strings.ReplaceAll(strings.TrimSpace(public), "\n", "\n  ")+"\n", nil)
	require.NoError(t, err)
	require.Equal(t, public, loaded.Config.JWTKey)

	loaded, err = load(t, "jwt-jwks-url: https://id.example.com/keys\nanonymous: false\n", nil)
	require.NoError(t, err)
	require.Equal(t, "https://id.example.com/keys", loaded.Config.JWKSURL)

	_, err = load(t, "anonymous: false\nhook-connect-url: http://backend/connect\n", nil)
	require.NoError(t, err, "a hook can tell who clients are")
}

func TestLoadRefusesWrongAuthSettings(t *testing.T) {
	_, private := keyPair(t)
	for name, c := range map[string]struct {
		environ, want []string
	}{
		"two key sources": {[]string{"WSFLEET_JWT_KEY=" + sharedKey, "WSFLEET_JWT_JWKS_URL=https://a/k"},
			[]string{"jwt-jwks-url", "although a key is", "either"}},
		"only the one before": {[]string{"WSFLEET_JWT_PREVIOUS_KEY=" + sharedKey},
			[]string{"jwt-previous-key", "leave both out"}},
		"the one before a set": {[]string{"WSFLEET_JWT_PREVIOUS_KEY=" + sharedKey, "WSFLEET_JWT_JWKS_URL=https://a/k"},
			[]string{"jwt-previous-key", "leave both out"}},
		"API key before none": {[]string{"WSFLEET_API_PREVIOUS_KEY=hunter2"}, []string{"api-previous-key", "set api-key"}},
		"31 bytes": {[]string{"WSFLEET_JWT_KEY=" + sharedKey[:31]},
			[]string{"jwt-key", "31 bytes", "32 bytes or more", "environment WSFLEET_JWT_KEY"}},
		"31 bytes before": {[]string{"WSFLEET_JWT_KEY=" + sharedKey, "WSFLEET_JWT_PREVIOUS_KEY=" + sharedKey[:31]},
			[]string{"jwt-previous-key", "31 bytes"}},
		"half a PEM": {[]string{"WSFLEET_JWT_KEY=-----BEGIN PUBLIC KEY-----\nhunter2hunter2hunter2\n"},
			[]string{"jwt-key", "PEM"}},
		"private key": {[]string{"WSFLEET_JWT_KEY=" + private}, []string{"jwt-key", "private", "public"}},
		"credentials in a URL": {[]string{"WSFLEET_JWT_JWKS_URL=https://u:hunter2@a/k"},
			[]string{"jwt-jwks-url", "password"}},
		"URL of another kind": {[]string{"WSFLEET_JWT_JWKS_URL=ftp://hunter2/k"},
			[]string{"jwt-jwks-url", "https://host/path"}},
		"issuer of nothing":   {[]string{"WSFLEET_JWT_ISSUER=i"}, []string{"jwt-issuer", "JWK Set"}},
		"audience of nothing": {[]string{"WSFLEET_JWT_AUDIENCE=a"}, []string{"jwt-audience", "JWK Set"}},
		"nobody": {[]string{"WSFLEET_ANONYMOUS=false"},
			[]string{"anonymous", "no client could connect", "jwt-key", "jwt-jwks-url", "hook-connect-url"}},
		"maybe": {[]string{"WSFLEET_ANONYMOUS=maybe"}, []string{"anonymous", "true or false"}},
	} {
		t.Run(name, func(t *testing.T) {
			requireWrong(t, "", c.environ, c.want...)
		})
	}
}

// requireWrong asserts that Load refuses a configuration. The message must contain all of want and none of the secrets
// of these tests.
func requireWrong(t *testing.T, file string, environ []string, want ...string) {
	t.Helper()
	_, err := load(t, file, environ)
	var wrong *config.Error
	require.ErrorAs(t, err, &wrong)
	for _, part := range want {
		require.Contains(t, err.Error(), part)
	}
	require.NotContains(t, err.Error(), "hunter2")
	require.NotContains(t, err.Error(), hookSecret)
}

func TestLoadRedactsSecrets(t *testing.T) {
	loaded, err := load(t, "", []string{
		"WSFLEET_JWT_KEY=" + sharedKey, "WSFLEET_JWT_PREVIOUS_KEY=" + sharedKey, "WSFLEET_API_KEY=hunter2",
		"WSFLEET_API_PREVIOUS_KEY=hunter2", "WSFLEET_HOOK_SECRET=" + hookSecret, "WSFLEET_REDIS_PASSWORD=hunter2",
	})
	require.NoError(t, err)
	redacted := 0
	for key, value := range loaded.Effective {
		require.NotContains(t, fmt.Sprint(value), "hunter2", key)
		require.NotContains(t, fmt.Sprint(value), hookSecret, key)
		if value == "(redacted)" {
			redacted++
		}
	}
	require.Equal(t, 6, redacted)
	require.NotContains(t, loaded.Effective[contract.KeyRedisUsername], "redacted", "what is not set is not secret")
}
