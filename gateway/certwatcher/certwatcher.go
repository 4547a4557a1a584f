// Package certwatcher serves a certificate from two files, and the new one when they change: whoever
// renews certificates replaces files and restarts nothing. Connections that are open keep the one that
// they began with.
package certwatcher

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what a Watcher is made of.
type Options struct {
	// CertFile holds the chain in PEM, the server's own certificate first, and KeyFile its private key.
	CertFile, KeyFile string
	Logger            *slog.Logger
	// Failed is called when changed files hold no certificate with its key. It must not block.
	Failed func()
}

// checkInterval is how long changed files may go unnoticed.
const checkInterval = time.Second

// Watcher is a certificate that follows its files.
type Watcher struct {
	options Options
	current atomic.Pointer[tls.Certificate]

	// mu is held by the one handshake that looks at the files.
	mu      sync.Mutex
	checked time.Time
	seen    identity
}

// New reads the files for the first time. An error names both.
func New(o Options) (*Watcher, error) {
	s := &Watcher{options: o, checked: time.Now(), seen: identify(o)}
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// TLSConfig is the configuration of a server with this certificate, for HTTP/1.1: a WebSocket begins as that.
func (s *Watcher) TLSConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: s.get}
}

// get is called at each handshake. One at a time looks at the files; the others do not wait for it.
func (s *Watcher) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.mu.TryLock() {
		defer s.mu.Unlock()
		s.check()
	}
	return s.current.Load(), nil
}

// check loads files that are not what they were. When they cannot be used, the old certificate stays, and
// the files are looked at again when they have changed once more.
func (s *Watcher) check() {
	if time.Since(s.checked) < checkInterval {
		return
	}
	s.checked = time.Now()
	// The identity is from before the reading: what changes meanwhile is found next time.
	now := identify(s.options)
	if now.equal(s.seen) {
		return
	}
	s.seen = now
	if err := s.load(); err != nil {
		s.options.Failed()
		s.options.Logger.Error("certificate not renewed, the old one stays", slog.Any("error", err), s.expiry())
		return
	}
	s.options.Logger.Info("certificate renewed", s.expiry())
}

func (s *Watcher) load() error {
	pair, err := tls.LoadX509KeyPair(s.options.CertFile, s.options.KeyFile)
	if err != nil {
		return fmt.Errorf(
			"certificate %s with key %s: %w; write a certificate chain and the private key that belongs to it, both in PEM",
			s.options.CertFile, s.options.KeyFile, err)
	}
	s.current.Store(&pair)
	return nil
}

// expiry is when the certificate in use ends.
func (s *Watcher) expiry() slog.Attr {
	return slog.Time("expires", s.current.Load().Leaf.NotAfter)
}

// identity tells one version of the files from another, also behind the symbolic links that a mounted
// Secret swaps. What is not there is nil.
type identity [2]os.FileInfo

func identify(o Options) (id identity) {
	for i, name := range []string{o.CertFile, o.KeyFile} {
		if info, err := os.Stat(name); err == nil {
			id[i] = info
		}
	}
	return id
}

func (id identity) equal(other identity) bool {
	for i, a := range id {
		b := other[i]
		switch {
		case a == nil && b == nil:
		case a == nil || b == nil:
			return false
		case !os.SameFile(a, b), a.Size() != b.Size(), !a.ModTime().Equal(b.ModTime()):
			return false
		}
	}
	return true
}
