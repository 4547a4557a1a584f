package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// minSecretBytes is the length of a SHA-256 hash (RFC 7518, section 3.2), minRSABits that of RFC 7518, section 3.3.
	minSecretBytes = 32
	minRSABits     = 2048
	// maxRSABits bounds the CPU time of one verification.
	maxRSABits = 8192
)

// key is a secret or a public key that verifies signatures, with the algorithms that belong to it.
type key struct {
	// id is the key's kid in a JWK Set; empty for a configured key.
	id         string
	value      any
	algorithms []string
}

func (k key) fits(algorithm string) bool { return slices.Contains(k.algorithms, algorithm) }

// equal reports whether two public keys have the same value, name and algorithms. Secrets are never equal.
func (k key) equal(other key) bool {
	public, ok := k.value.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.id == other.id && public.Equal(other.value) && slices.Equal(k.algorithms, other.algorithms)
}

// newKey returns a key with its algorithms, which depend on the key alone and never on a token (RFC 8725, section 3.1).
// It returns an error for a key of another kind, or one that is too short.
func newKey(id string, value any) (key, error) {
	algorithms, err := algorithmsOf(value)
	return key{id: id, value: value, algorithms: algorithms}, err
}

// algorithmsOf returns the names of RFC 7518, section 3.1, and RFC 8037, section 3.1.
func algorithmsOf(value any) ([]string, error) {
	switch k := value.(type) {
	case []byte:
		if len(k) < minSecretBytes {
			return nil, fmt.Errorf("%d bytes are fewer than the %d of a secret", len(k), minSecretBytes)
		}
		return []string{"HS256", "HS384", "HS512"}, nil
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return nil, fmt.Errorf("an RSA key of %d bits is not from %d to %d", bits, minRSABits, maxRSABits)
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, nil
	case *ecdsa.PublicKey:
		return algorithmOfCurve(k.Curve.Params().Name)
	case ed25519.PublicKey:
		return []string{"EdDSA"}, nil
	default:
		return nil, errors.New("the key is neither RSA, nor ECDSA, nor Ed25519")
	}
}

func algorithmOfCurve(name string) ([]string, error) {
	switch name {
	case "P-256":
		return []string{"ES256"}, nil
	case "P-384":
		return []string{"ES384"}, nil
	case "P-521":
		return []string{"ES512"}, nil
	default:
		return nil, errors.New("the curve of the ECDSA key is neither P-256, nor P-384, nor P-521")
	}
}

// parseKey parses a configured key. A text that looks like a public key is never taken for a secret, because a public
// key is known to others. It returns an error for such a text in a format that is not supported, and those of newKey.
func parseKey(text string) (key, error) {
	value, err := verificationKey(text)
	if err != nil {
		return key{}, err
	}
	return newKey("", value)
}

func verificationKey(text string) (any, error) {
	switch {
	case strings.Contains(text, "-----BEGIN "):
		return publicKey(text)
	case looksLikeKey(text):
		return nil, errors.New("is a key of another format than PEM")
	default:
		return []byte(text), nil
	}
}

// publicKey parses a text with one PEM block (RFC 7468). Its errors complete a sentence that begins with the option's
// name.
func publicKey(text string) (any, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("looks like PEM and is none: a line is missing, or the line breaks are")
	}
	if len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errors.New("holds more than one PEM block")
	}
	var public any
	var err error
	switch {
	case block.Type == "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		public, err = certified(block.Bytes)
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("is a private key, which has no business here")
	default:
		return nil, errors.New("is a PEM block that is neither a public key nor a certificate")
	}
	if err != nil {
		return nil, errors.New("is a PEM block whose content cannot be read")
	}
	return public, nil
}

func certified(der []byte) (any, error) {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return certificate.PublicKey, nil
}

// looksLikeKey reports whether a text that is not PEM is a key nevertheless: a JWK, an SSH key, or PEM without its
// first and last line, as some identity providers show it.
func looksLikeKey(text string) bool {
	text = strings.TrimSpace(text)
	for _, start := range []string{"ssh-", "ecdsa-sha2-", "---- BEGIN "} {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	if strings.HasPrefix(text, "{") && json.Valid([]byte(text)) {
		return true
	}
	return isDER([]byte(text)) || isBase64DER(strings.Join(strings.Fields(text), ""))
}

func isBase64DER(text string) bool {
	text = strings.TrimRight(text, "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if der, err := encoding.DecodeString(text); err == nil && isDER(der) {
			return true
		}
	}
	return false
}

func isDER(der []byte) bool {
	parsers := []func([]byte) (any, error){
		x509.ParsePKIXPublicKey, x509.ParsePKCS8PrivateKey, certified,
		func(der []byte) (any, error) { return x509.ParsePKCS1PublicKey(der) },
		func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
		func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
	}
	return slices.ContainsFunc(parsers, func(parse func([]byte) (any, error)) bool {
		_, err := parse(der)
		return err == nil
	})
}
