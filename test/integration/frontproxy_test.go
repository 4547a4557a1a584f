package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// frontProxyName is the name by which the API server calls itself when it passes requests on to an APIService.
const frontProxyName = "front-proxy-client"

// frontProxy turns the aggregation layer on: it makes an authority and a client certificate of the API server in dir,
// and sets the flags. It returns an error when they cannot be made or written.
func frontProxy(dir string, apiServer *envtest.APIServer) error {
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	authority, err := cert.NewSelfSignedCACert(cert.Config{CommonName: "front-proxy"}, authorityKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	client, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: frontProxyName},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, authority, key.Public(), authorityKey)
	if err != nil {
		return err
	}
	keyPEM, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return err
	}
	authorityFile, certFile, keyFile := filepath.Join(dir, "front-proxy-ca.crt"), filepath.Join(dir, "front-proxy.crt"),
		filepath.Join(dir, "front-proxy.key")
	certificate, err := x509.ParseCertificate(client)
	if err != nil {
		return err
	}
	authorityPEM, err := cert.EncodeCertificates(authority)
	if err != nil {
		return err
	}
	certPEM, err := cert.EncodeCertificates(certificate)
	if err != nil {
		return err
	}
	apiServer.Configure().
		Set("requestheader-client-ca-file", authorityFile).
		Set("requestheader-allowed-names", frontProxyName).
		Set("requestheader-username-headers", "X-Remote-User").
		Set("requestheader-group-headers", "X-Remote-Group").
		Set("requestheader-extra-headers-prefix", "X-Remote-Extra-").
		Set("proxy-client-cert-file", certFile).
		Set("proxy-client-key-file", keyFile)
	return errors.Join(
		os.WriteFile(authorityFile, authorityPEM, 0o600),
		os.WriteFile(certFile, certPEM, 0o600),
		os.WriteFile(keyFile, keyPEM, 0o600),
	)
}
