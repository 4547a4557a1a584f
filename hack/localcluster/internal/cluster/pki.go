package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// identity describes a certificate of the cluster: its subject, and the names that it is valid for.
type identity struct {
	file         string
	authority    string
	commonName   string
	organization []string
	dnsNames     []string
	ips          []string
}

// There are two authorities, because a client with a certificate of the first must not pass as the aggregation layer's
// proxy.
const (
	authority      = "ca"
	proxyAuthority = "front-proxy-ca"
)

func (c *Cluster) identities() []identity {
	all := []identity{
		{
			file: "apiserver", authority: authority, commonName: "kube-apiserver",
			dnsNames: []string{
				"kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc." + dnsDomain, "localhost", c.Name,
			},
			ips: []string{"127.0.0.1", controlIP, apiserverIP},
		},
		{
			file:         "apiserver-kubelet-client",
			authority:    authority,
			commonName:   "kube-apiserver-kubelet-client",
			organization: []string{"system:masters"},
		},
		{file: "front-proxy-client", authority: proxyAuthority, commonName: "front-proxy-client"},
		{file: "admin", authority: authority, commonName: "kubernetes-admin", organization: []string{"system:masters"}},
		{file: "kube-controller-manager", authority: authority, commonName: "system:kube-controller-manager"},
		{file: "kube-scheduler", authority: authority, commonName: "system:kube-scheduler"},
		{file: "kube-proxy", authority: authority, commonName: "system:kube-proxy"},
	}
	for _, n := range c.nodes() {
		all = append(all, n.identities()...)
	}
	return all
}

// identities are those of the node's kubelet, as a client and as a server.
func (n node) identities() []identity {
	client := identity{
		file:         n.own("kubelet"),
		authority:    authority,
		commonName:   "system:node:" + n.name(),
		organization: []string{"system:nodes"},
	}
	server := client
	server.file = n.own("kubelet-server")
	server.dnsNames = []string{n.name()}
	server.ips = []string{n.ip()}
	return []identity{client, server}
}

// certificateLife outlasts any cluster of this kind: nothing renews it.
const certificateLife = 10 * 365 * 24 * time.Hour

// ensurePKI writes the certificates and keys that are not there yet.
func (c *Cluster) ensurePKI() error {
	if err := os.MkdirAll(c.pki(""), 0o700); err != nil {
		return err
	}
	authorities := map[string]*pair{}
	for _, name := range []string{authority, proxyAuthority} {
		p, err := c.ensureAuthority(name)
		if err != nil {
			return fmt.Errorf("certificate authority %s: %w", name, err)
		}
		authorities[name] = p
	}
	for _, id := range c.identities() {
		if err := c.ensureCertificate(id, authorities[id.authority]); err != nil {
			return fmt.Errorf("certificate %s: %w", id.file, err)
		}
	}
	if err := c.ensureServiceAccountKey(); err != nil {
		return fmt.Errorf("service account key: %w", err)
	}
	return nil
}

// pair is a certificate and its key.
type pair struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func (c *Cluster) ensureAuthority(name string) (*pair, error) {
	if c.hasPair(name) {
		return c.readPair(name)
	}
	template, err := newTemplate(pkix.Name{CommonName: name + "@" + c.Name})
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	return c.issue(name, template, nil)
}

func (c *Cluster) ensureCertificate(id identity, by *pair) error {
	if c.hasPair(id.file) {
		return nil
	}
	template, err := newTemplate(pkix.Name{CommonName: id.commonName, Organization: id.organization})
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	template.DNSNames = id.dnsNames
	for _, ip := range id.ips {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(ip))
	}
	if len(id.dnsNames)+len(id.ips) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	_, err = c.issue(id.file, template, by)
	return err
}

func newTemplate(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		// Clocks may have been set back since.
		NotBefore: now.Add(-time.Hour),
		NotAfter:  now.Add(certificateLife),
	}, nil
}

// issue makes a key, has its certificate signed, by itself when by is nil, and
// writes both.
func (c *Cluster) issue(name string, template *x509.Certificate, by *pair) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if by == nil {
		by = &pair{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if err := writeKey(c.pki(name+".key"), key); err != nil {
		return nil, err
	}
	// Last: where there is a certificate there is its key.
	if err := writePEM(c.pki(name+".crt"), "CERTIFICATE", der); err != nil {
		return nil, err
	}
	return &pair{certificate, key}, nil
}

// ensureServiceAccountKey makes the key that signs the tokens of pods.
func (c *Cluster) ensureServiceAccountKey() error {
	if _, err := os.Stat(c.pki("service-account.pub")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if err := writeKey(c.pki("service-account.key"), key); err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return writePEM(c.pki("service-account.pub"), "PUBLIC KEY", der)
}

func (c *Cluster) hasPair(name string) bool {
	_, err := os.Stat(c.pki(name + ".crt"))
	return err == nil
}

func (c *Cluster) readPair(name string) (*pair, error) {
	der, err := readPEM(c.pki(name + ".crt"))
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	der, err = readPEM(c.pki(name + ".key"))
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a %T, expected an ECDSA key", name, key)
	}
	return &pair{certificate, ec}, nil
}

func writeKey(path string, key crypto.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return writeFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func readPEM(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", path)
	}
	return block.Bytes, nil
}

// writeFile writes a file at once or not at all: what an unclean stop leaves
// half written would be taken for whole.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	half := path + ".new"
	if err := os.WriteFile(half, data, 0o600); err != nil {
		return err
	}
	return os.Rename(half, path)
}
