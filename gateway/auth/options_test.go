package auth

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCheckNamesTheOption(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		option  string
		problem string
	}{
		"short secret":          {Options{Key: secret[1:]}, "Key", "31 bytes are fewer than the 32"},
		"short previous secret": {Options{Key: secret, PreviousKey: "x"}, "PreviousKey", "1 bytes are fewer"},
		"previous key alone":    {Options{PreviousKey: secret}, "PreviousKey", "without the key"},
		"two sources":           {Options{Key: secret, JWKSURL: "https://id.example/jwks"}, "JWKSURL", "although a key"},
		"URL without a scheme":  {Options{JWKSURL: "id.example/jwks"}, "JWKSURL", "not the URL"},
		"URL of a file":         {Options{JWKSURL: "file:///etc/passwd"}, "JWKSURL", "not the URL"},
		"URL without a host":    {Options{JWKSURL: "https:///jwks"}, "JWKSURL", "not the URL"},
		"URL with only a port":  {Options{JWKSURL: "https://:443/jwks"}, "JWKSURL", "not the URL"},
		"URL with a fragment":   {Options{JWKSURL: "https://id.example/#a"}, "JWKSURL", "not the URL"},
		"URL that is none":      {Options{JWKSURL: "https://hunter2:%zz@x"}, "JWKSURL", "not the URL"},
		"URL with a password":   {Options{JWKSURL: "https://me:hunter2@id.example/"}, "JWKSURL", "a password"},
		"issuer of nothing":     {Options{Issuer: "x"}, "Issuer", "no token is verified"},
		"audience of nothing":   {Options{Audience: "x"}, "Audience", "no token is verified"},
		"negative leeway":       {Options{Key: secret, Leeway: -1}, "Leeway", "out of range"},
		"long leeway":           {Options{Key: secret, Leeway: time.Hour}, "Leeway", "out of range"},
		"negative window":       {Options{Key: secret, PreviousKeyWindow: -1}, "PreviousKeyWindow", "out of range"},
		"long window": {Options{Key: secret, PreviousKeyWindow: 25 * time.Hour}, "PreviousKeyWindow",
			"out of range"},
		"previous key is no key": {Options{Key: secret, PreviousKey: "-----BEGIN PUBLIC KEY-----"}, "PreviousKey",
			"looks like PEM and is none"},
		"issuer, previous key": {Options{PreviousKey: secret, Issuer: "x"}, "Issuer", "no token is verified"},
		"key of an unknown format": {Options{Key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH5m me@example"}, "Key",
			"another format than PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check(test.options)
			require.Error(t, err)
			found := false
			for _, o := range Problems(test.options) {
				require.NotEmpty(t, o.Remedy)
				require.ErrorContains(t, err, o.Error())
				found = found || o.Option == test.option && strings.Contains(o.Problem, test.problem)
			}
			require.True(t, found, err.Error())
			require.NotContains(t, err.Error(), "hunter2")
			requireSecretive(t, err, test.options.Key)
			v, err2 := New(test.options)
			require.Nil(t, v)
			require.Equal(t, err, err2)
		})
	}
}

func TestCheckAccepts(t *testing.T) {
	for _, o := range []Options{{}, {Key: secret},
		{Key: secret, PreviousKey: otherSecret, Issuer: "i", Audience: "a", Leeway: time.Minute},
		{JWKSURL: "https://id.example/.well-known/jwks.json"},
		{JWKSURL: "http://127.0.0.1:8080/jwks", Issuer: "i", PreviousKeyWindow: time.Hour},
		{JWKSURL: "http://id.default.svc/jwks?set=1"},
	} {
		require.NoError(t, Check(o))
	}
}

func TestCheckKeyFormats(t *testing.T) {
	rsaKey := pairs()["rsa"].(*rsa.PrivateKey)
	certificate, err := x509.CreateCertificate(rand.Reader,
		&x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "id"}},
		&x509.Certificate{SerialNumber: big.NewInt(1)}, rsaKey.Public(), rsaKey)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		text  string
		value any
	}{
		"secret":             {secret, []byte(secret)},
		"secret with spaces": {" " + secret + "\n", []byte(" " + secret + "\n")},
		"secret in base64": {base64.StdEncoding.EncodeToString([]byte(secret)),
			[]byte(base64.StdEncoding.EncodeToString([]byte(secret)))},
		"secret like JSON":     {"{" + secret, []byte("{" + secret)},
		"RSA, PKIX":            {publicPEM(t, "rsa"), rsaKey.Public()},
		"RSA, PKCS1":           {block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)), rsaKey.Public()},
		"RSA, certificate":     {block("CERTIFICATE", certificate), rsaKey.Public()},
		"ECDSA":                {publicPEM(t, "p521"), pairs()["p521"].Public()},
		"Ed25519":              {publicPEM(t, "ed25519"), pairs()["ed25519"].Public()},
		"Windows line breaks":  {strings.ReplaceAll(publicPEM(t, "p256"), "\n", "\r\n"), pairs()["p256"].Public()},
		"text before the key":  {"Subject: id\n" + publicPEM(t, "p256"), pairs()["p256"].Public()},
		"blank lines after it": {publicPEM(t, "p256") + "\n \n", pairs()["p256"].Public()},
	} {
		k, err := parseKey(test.text)
		require.NoError(t, err, name)
		require.Equal(t, test.value, k.value, name)
	}
}

// A public key that is taken for a secret would let everyone with that key sign.
func TestCheckRefusesKeysThatLookLikeSecrets(t *testing.T) {
	rsaKey := pairs()["rsa"].(*rsa.PrivateKey)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	require.NoError(t, err)
	public := publicPEM(t, "rsa")
	pkix, err := x509.MarshalPKIXPublicKey(rsaKey.Public())
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(public), "\n")
	for name, test := range map[string]struct{ text, problem string }{
		"small RSA":           {block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&small.PublicKey)), "1024 bits"},
		"P-224":               {publicPEM(t, "p224"), "curve"},
		"private key":         {block("PRIVATE KEY", private), "is a private key"},
		"RSA private key":     {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), "is a private key"},
		"request":             {block("CERTIFICATE REQUEST", pkix), "neither a public key nor a certificate"},
		"X25519":              {block("PUBLIC KEY", x25519()), "neither RSA"},
		"garbage in PEM":      {block("PUBLIC KEY", []byte("garbage")), "cannot be read"},
		"garbage certificate": {block("CERTIFICATE", []byte("garbage")), "cannot be read"},
		"wrong label":         {block("RSA PUBLIC KEY", pkix), "cannot be read"},
		"two keys":            {public + publicPEM(t, "p256"), "more than one"},
		"text after the key":  {public + secret, "more than one"},
		"escaped line breaks": {strings.ReplaceAll(public, "\n", `\n`), "looks like PEM"},
		"no last line":        {strings.Join(lines[:len(lines)-1], "\n"), "looks like PEM"},
		"no first, last line": {strings.Join(lines[1:len(lines)-1], "\n"), "another format"},
		"in one line":         {strings.Join(lines[1:len(lines)-1], ""), "another format"},
		"in base64url":        {base64.RawURLEncoding.EncodeToString(pkix), "another format"},
		"DER":                 {string(pkix), "another format"},
		"PKCS1 in base64": {base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)),
			"another format"},
		"private in base64": {base64.StdEncoding.EncodeToString(private), "another format"},
		"JWK":               {`{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}`, "another format"},
		"SSH":               {"ssh-rsa " + base64.StdEncoding.EncodeToString(pkix), "another format"},
		"SSH2": {"---- BEGIN SSH2 PUBLIC KEY ----\n" + base64.StdEncoding.EncodeToString(pkix),
			"another format"},
	} {
		_, err := parseKey(test.text)
		require.ErrorContains(t, err, test.problem, name)
		requireSecretive(t, err, test.text)
	}
}

// x25519 returns a key that cannot sign.
func x25519() []byte {
	return append([]byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00}, make([]byte, 32)...)
}
