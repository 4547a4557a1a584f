package certwatcher_test

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/certwatcher"
	"github.com/wsfleet/wsfleet/internal/certtest"
)

// mount is a directory like that of a mounted Secret: its files are links into one version of it.
type mount struct {
	t        *testing.T
	dir      string
	versions int
}

func (m *mount) cert() string { return filepath.Join(m.dir, "tls.crt") }
func (m *mount) key() string  { return filepath.Join(m.dir, "tls.key") }

// put replaces both files at once, as the kubelet does.
func (m *mount) put(cert, key []byte) {
	m.t.Helper()
	m.versions++
	version := filepath.Join(m.dir, "..version"+strconv.Itoa(m.versions))
	require.NoError(m.t, os.Mkdir(version, 0o700))
	require.NoError(m.t, os.WriteFile(filepath.Join(version, "tls.crt"), cert, 0o600))
	require.NoError(m.t, os.WriteFile(filepath.Join(version, "tls.key"), key, 0o600))
	link := filepath.Join(m.dir, "..data")
	require.NoError(m.t, os.Symlink(version, link+"_tmp"))
	require.NoError(m.t, os.Rename(link+"_tmp", link))
	if m.versions == 1 {
		require.NoError(m.t, os.Symlink(filepath.Join("..data", "tls.crt"), m.cert()))
		require.NoError(m.t, os.Symlink(filepath.Join("..data", "tls.key"), m.key()))
	}
}

// watcherHarness is a watcher with its log.
type watcherHarness struct {
	config   *tls.Config
	failures int
	log      bytes.Buffer
}

func open(t *testing.T, m *mount) *watcherHarness {
	t.Helper()
	w := &watcherHarness{}
	s, err := certwatcher.New(certwatcher.Options{
		CertFile: m.cert(),
		KeyFile:  m.key(),
		Logger:   slog.New(slog.NewTextHandler(&w.log, nil)),
		Failed:   func() { w.failures++ },
	})
	require.NoError(t, err)
	w.config = s.TLSConfig()
	return w
}

// name returns the common name of the certificate that a client gets.
func (w *watcherHarness) name(t *testing.T) string {
	t.Helper()
	c, err := w.config.GetCertificate(&tls.ClientHelloInfo{})
	require.NoError(t, err)
	return c.Leaf.Subject.CommonName
}

func (w *watcherHarness) logged(text string) int { return bytes.Count(w.log.Bytes(), []byte(text)) }

func TestWatcherLoadsChangedFiles(t *testing.T) {
	one, two, three := certtest.New(t, "one"), certtest.New(t, "two"), certtest.New(t, "three")
	m := &mount{t: t, dir: t.TempDir()}
	m.put(one.Cert, one.Key)
	synctest.Test(t, func(t *testing.T) {
		w := open(t, m)
		require.Equal(t, "one", w.name(t))
		m.put(two.Cert, two.Key)
		require.Equal(t, "one", w.name(t), "the files are checked once a second")
		time.Sleep(time.Second)
		require.Equal(t, "two", w.name(t))

		// Replace one file after the other between two checks.
		for file, content := range map[string][]byte{m.cert(): three.Cert, m.key(): three.Key} {
			require.NoError(t, os.WriteFile(file+".new", content, 0o600))
			require.NoError(t, os.Rename(file+".new", file))
		}
		time.Sleep(time.Second)
		require.Equal(t, "three", w.name(t))
		require.Zero(t, w.failures)
		require.Equal(t, 2, w.logged("certificate renewed"))
	})
}

func TestWatcherKeepsTheOldCertificateForBadFiles(t *testing.T) {
	one, two := certtest.New(t, "one"), certtest.New(t, "two")
	for name, bad := range map[string]func(m *mount){
		"key of another": func(m *mount) { m.put(two.Cert, one.Key) },
		"half a file":    func(m *mount) { m.put(two.Cert[:len(two.Cert)/2], two.Key) },
		"empty":          func(m *mount) { m.put(nil, nil) },
		"gone":           func(m *mount) { require.NoError(m.t, os.RemoveAll(filepath.Join(m.dir, "..data"))) },
	} {
		t.Run(name, func(t *testing.T) {
			m := &mount{t: t, dir: t.TempDir()}
			m.put(one.Cert, one.Key)
			synctest.Test(t, func(t *testing.T) {
				w := open(t, m)
				bad(m)
				for range 5 {
					time.Sleep(time.Second)
					require.Equal(t, "one", w.name(t))
				}
				require.Equal(t, 1, w.failures, "reported once")
				require.Equal(t, 1, w.logged("certificate not renewed"))

				m.put(two.Cert, two.Key)
				time.Sleep(time.Second)
				require.Equal(t, "two", w.name(t))
			})
		})
	}
}

func TestNewNamesBothFiles(t *testing.T) {
	one, two := certtest.New(t, "one"), certtest.New(t, "two")
	m := &mount{t: t, dir: t.TempDir()}
	for _, c := range []struct {
		name string
		set  func()
	}{
		{"missing", func() {}},
		{"key of another", func() { m.put(one.Cert, two.Key) }},
		{"empty", func() { m.put(nil, nil) }},
	} {
		c.set()
		_, err := certwatcher.New(certwatcher.Options{CertFile: m.cert(), KeyFile: m.key()})
		require.ErrorContains(t, err, m.cert(), c.name)
		require.ErrorContains(t, err, m.key(), c.name)
		require.ErrorContains(t, err, "belongs to it", c.name)
	}
}

func TestWatcherTLSConfig(t *testing.T) {
	one := certtest.New(t, "one")
	m := &mount{t: t, dir: t.TempDir()}
	m.put(one.Cert, one.Key)
	config := open(t, m).config
	require.Equal(t, uint16(tls.VersionTLS12), config.MinVersion)
	require.Equal(t, []string{"http/1.1"}, config.NextProtos)
}
