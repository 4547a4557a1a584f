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
	leastSecret = 32
	leastRSA    = 2048
	// mostRSA bounds what one signature costs.
	mostRSA = 8192
)

// key verifies signatures: a secret, or a public key, with the algorithms that belong to it.
type key struct {
	// id is its name in a JWK Set.
	id         string
	value      any
	algorithms []string
}

func (k key) fits(algorithm string) bool { return slices.Contains(k.algorithms, algorithm) }

// equal reports whether two keys, also those of different sets, are the same.
func (k key) equal(other key) bool {
	public, ok := k.value.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.id == other.id && public.Equal(other.value) && slices.Equal(k.algorithms, other.algorithms)
}

// newKey finds the algorithms of a key. They depend on nothing that a token says.
func newKey(id string, value any) (key, error) {
	algorithms, err := algorithmsOf(value)
	return key{id: id, value: value, algorithms: algorithms}, err
}

func algorithmsOf(value any) ([]string, error) {
	switch k := value.(type) {
	case []byte:
		if len(k) < leastSecret {
			return nil, fmt.Errorf("%d bytes are fewer than the %d of a secret", len(k), leastSecret)
		}
		return []string{"HS256", "HS384", "HS512"}, nil
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < leastRSA || bits > mostRSA {
			return nil, fmt.Errorf("an RSA key of %d bits is not from %d to %d", bits, leastRSA, mostRSA)
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

// parseKey reads a configured key. Whatever looks like a public key is one or an error: taken for a
// secret, it would be a secret that everybody knows.
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
	case disguised(text):
		return nil, errors.New("is a key of another format than PEM")
	default:
		return []byte(text), nil
	}
}

// publicKey reads the one block of a PEM text.
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

// disguised reports whether a text that is not PEM is a key nevertheless: a JWK, an SSH key, or
// PEM without its first and last line, as some identity providers show it.
func disguised(text string) bool {
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
