// Package certwatcher serves a TLS certificate from two files, and loads it again when they change, so
// that a renewed certificate needs no restart. Open connections keep the certificate that they began
// with. Package gateway uses it for the public port.
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

// Options configure a Watcher.
type Options struct {
	// CertFile contains the certificate chain in PEM, the server's own certificate first.
	CertFile string
	// KeyFile contains the private key of that certificate in PEM.
	KeyFile string
	Logger  *slog.Logger
	// Failed is called when changed files cannot be used. It must not block.
	Failed func()
}

// checkInterval is the shortest time between two checks of the files.
const checkInterval = time.Second

// Watcher holds the certificate of two files. It checks them during TLS handshakes.
type Watcher struct {
	options Options
	current atomic.Pointer[tls.Certificate]

	// mu guards the fields below. The handshake that checks the files holds it.
	mu sync.Mutex
	// checked is when the files were checked last.
	checked time.Time
	// seen is the version of the files that was loaded, or could not be loaded.
	seen version
}

// New loads the certificate. It returns an error, which names both files, if that fails.
func New(o Options) (*Watcher, error) {
	w := &Watcher{options: o, checked: time.Now(), seen: stat(o)}
	if err := w.load(); err != nil {
		return nil, err
	}
	return w, nil
}

// TLSConfig returns the configuration of a server with the current certificate. It allows HTTP/1.1 only,
// with which a WebSocket handshake begins.
func (w *Watcher) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: w.certificate,
	}
}

// certificate returns the certificate for a handshake. One handshake at a time checks the files; the
// others do not wait for it. The error is always nil.
func (w *Watcher) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if w.mu.TryLock() {
		defer w.mu.Unlock()
		w.check()
	}
	return w.current.Load(), nil
}

// check loads the files if they have changed. If that fails, the old certificate stays in use, and the
// files are not loaded again before they change once more. The caller holds the lock.
func (w *Watcher) check() {
	if time.Since(w.checked) < checkInterval {
		return
	}
	w.checked = time.Now()
	// Stat before loading: a change during the load is then found by the next check.
	now := stat(w.options)
	if now.equal(w.seen) {
		return
	}
	w.seen = now
	if err := w.load(); err != nil {
		w.options.Failed()
		w.options.Logger.Error("certificate not renewed, the old one stays", slog.Any("error", err), w.expiry())
		return
	}
	w.options.Logger.Info("certificate renewed", w.expiry())
}

// load reads both files. It returns an error, and keeps the old certificate, when they contain no
// certificate with its key.
func (w *Watcher) load() error {
	pair, err := tls.LoadX509KeyPair(w.options.CertFile, w.options.KeyFile)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w; "+
			"write a certificate chain and the private key that belongs to it, both in PEM",
			w.options.CertFile, w.options.KeyFile, err)
	}
	w.current.Store(&pair)
	return nil
}

// expiry returns when the current certificate expires, as a log attribute.
func (w *Watcher) expiry() slog.Attr {
	return slog.Time("expires", w.current.Load().Leaf.NotAfter)
}

// version identifies one version of the two files, also behind the symbolic links of a mounted Secret. A
// missing file is nil.
type version [2]os.FileInfo

// stat returns the current version of the files.
func stat(o Options) (v version) {
	for i, name := range []string{o.CertFile, o.KeyFile} {
		if info, err := os.Stat(name); err == nil {
			v[i] = info
		}
	}
	return v
}

// equal reports whether both files are the same and unchanged.
func (v version) equal(other version) bool {
	for i, a := range v {
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
