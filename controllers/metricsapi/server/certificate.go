package server

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// Keys of the Secret with the certificate. They are those that cert-manager writes, and keyAuthority besides.
const (
	// keyCertificate and keyPrivate are the serving certificate and its key.
	keyCertificate = corev1.TLSCertKey
	keyPrivate     = corev1.TLSPrivateKeyKey
	// keyAuthorities are the certificates of the authorities that the API server trusts, the newest last.
	keyAuthorities = "ca.crt"
	// keyAuthority is the key of the newest authority.
	keyAuthority = "ca.key"
)

const (
	// servingLifetime is how long a serving certificate is valid. client-go makes authorities valid for ten years.
	servingLifetime = 90 * 24 * time.Hour
	// backdate makes a certificate valid for machines whose clock is behind.
	backdate = time.Hour
)

// pair is a certificate and its key.
type pair struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// renewAt is when the certificate is renewed: after two thirds of its lifetime.
func (p pair) renewAt() time.Time {
	lifetime := p.certificate.NotAfter.Sub(p.certificate.NotBefore)
	return p.certificate.NotBefore.Add(lifetime * 2 / 3)
}

// certificates are the parsed content of the Secret.
type certificates struct {
	// authorities are trusted. The last one signs, with the key authority.
	authorities []*x509.Certificate
	authority   pair
	serving     pair
}

// renew returns the Secret's data with all renewed that is due at now, and when the next renewal is due. It returns
// data itself when nothing is due. data that cannot be used is replaced as a whole. renew returns an error when no
// certificate can be made.
//
// A new authority signs nothing before the serving certificate is renewed for the next time, weeks later. By then the
// API server has long trusted it, so that no request fails because replicas and API servers learn of it one after
// another.
func renew(data map[string][]byte, name string, now time.Time) (map[string][]byte, time.Time, error) {
	current, err := parse(data, name, now)
	switch {
	case err != nil:
		current, err = issueAll(name)
	case !now.Before(current.authority.renewAt()):
		err = errors.Join(current.issueServing(name, now), current.addAuthority())
	case !now.Before(current.serving.renewAt()):
		err = current.issueServing(name, now)
	default:
		return data, current.due(), nil
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	encoded, err := current.encode()
	return encoded, current.due(), err
}

// due returns when the next renewal is due.
func (c *certificates) due() time.Time {
	if serving := c.serving.renewAt(); serving.Before(c.authority.renewAt()) {
		return serving
	}
	return c.authority.renewAt()
}

// issueAll makes an authority and a serving certificate.
func issueAll(name string) (*certificates, error) {
	issued := &certificates{}
	if err := issued.addAuthority(); err != nil {
		return nil, err
	}
	return issued, issued.issueServing(name, time.Now())
}

// addAuthority makes a new authority, which signs from now on. The one before stays trusted.
func (c *certificates) addAuthority() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the key of an authority: %w", err)
	}
	certificate, err := cert.NewSelfSignedCACert(cert.Config{
		CommonName: "wsfleet metrics API authority",
		NotBefore:  time.Now().Add(-backdate),
	}, key)
	if err != nil {
		return fmt.Errorf("make an authority: %w", err)
	}
	if n := len(c.authorities); n > 1 {
		c.authorities = c.authorities[n-1:]
	}
	c.authority = pair{certificate, key}
	c.authorities = append(c.authorities, certificate)
	return nil
}

// issueServing makes a serving certificate for name, signed by the newest authority.
func (c *certificates) issueServing(name string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the key of a serving certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return fmt.Errorf("make a serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(servingLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.authority.certificate, key.Public(), c.authority.key)
	if err != nil {
		return fmt.Errorf("sign a serving certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("read the new serving certificate: %w", err)
	}
	c.serving = pair{certificate, key}
	return nil
}

// encode returns the content of the Secret.
func (c *certificates) encode() (map[string][]byte, error) {
	authorities, err := cert.EncodeCertificates(c.authorities...)
	if err != nil {
		return nil, fmt.Errorf("encode the authorities: %w", err)
	}
	serving, err := cert.EncodeCertificates(c.serving.certificate)
	if err != nil {
		return nil, fmt.Errorf("encode the serving certificate: %w", err)
	}
	authorityKey, err := keyutil.MarshalPrivateKeyToPEM(c.authority.key)
	if err != nil {
		return nil, fmt.Errorf("encode the key of the authority: %w", err)
	}
	servingKey, err := keyutil.MarshalPrivateKeyToPEM(c.serving.key)
	if err != nil {
		return nil, fmt.Errorf("encode the key of the serving certificate: %w", err)
	}
	return map[string][]byte{
		keyAuthorities: authorities,
		keyAuthority:   authorityKey,
		keyCertificate: serving,
		keyPrivate:     servingKey,
	}, nil
}

// parse reads the Secret's data and checks it at now. It returns an error when a part is missing or not valid, or does
// not belong to the others.
func parse(data map[string][]byte, name string, now time.Time) (*certificates, error) {
	authorities, serving, err := verify(data, name, now)
	if err != nil {
		return nil, err
	}
	authorityKey, err := keyutil.ParsePrivateKeyPEM(data[keyAuthority])
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", keyAuthority, err)
	}
	signer, ok := authorityKey.(*ecdsa.PrivateKey)
	newest := authorities[len(authorities)-1]
	if !ok || !signer.PublicKey.Equal(newest.PublicKey) {
		return nil, fmt.Errorf("key %s: it is not the key of the last certificate of %s", keyAuthority, keyAuthorities)
	}
	if now.After(newest.NotAfter) {
		return nil, fmt.Errorf("key %s: the authority has expired", keyAuthorities)
	}
	return &certificates{
		authorities: authorities,
		authority:   pair{newest, signer},
		serving:     serving,
	}, nil
}

// verify reads the parts of the Secret's data that every server needs, whether it or cert-manager wrote them: the
// authorities, and a serving certificate for name that one of them signed and that is valid at now. It returns an error
// that names the key of the Secret which cannot be used.
func verify(data map[string][]byte, name string, now time.Time) ([]*x509.Certificate, pair, error) {
	authorities, err := cert.ParseCertsPEM(data[keyAuthorities])
	if err != nil {
		return nil, pair{}, fmt.Errorf("key %s: %w", keyAuthorities, err)
	}
	keyPair, err := tls.X509KeyPair(data[keyCertificate], data[keyPrivate])
	if err != nil {
		return nil, pair{}, fmt.Errorf("keys %s and %s: %w", keyCertificate, keyPrivate, err)
	}
	trusted, between := x509.NewCertPool(), x509.NewCertPool()
	for _, authority := range authorities {
		trusted.AddCert(authority)
	}
	for _, der := range keyPair.Certificate[1:] {
		if intermediate, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(intermediate)
		}
	}
	if _, err := keyPair.Leaf.Verify(x509.VerifyOptions{
		DNSName:       name,
		Roots:         trusted,
		Intermediates: between,
		CurrentTime:   now,
	}); err != nil {
		return nil, pair{}, fmt.Errorf("key %s: %w", keyCertificate, err)
	}
	key, _ := keyPair.PrivateKey.(crypto.Signer)
	return authorities, pair{keyPair.Leaf, key}, nil
}
