package gateway_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/certtest"
)

// certificates names the two files of a gateway's certificate.
type certificates struct {
	t   *testing.T
	dir string
}

func (c certificates) configure(cfg *config.Config) {
	cfg.TLSCertFile, cfg.TLSKeyFile = filepath.Join(c.dir, "tls.crt"), filepath.Join(c.dir, "tls.key")
}

// put writes both files, the certificate last.
func (c certificates) put(cert, key []byte) {
	c.t.Helper()
	for _, f := range []struct {
		name    string
		content []byte
	}{{"tls.key", key}, {"tls.crt", cert}} {
		name := filepath.Join(c.dir, f.name)
		require.NoError(c.t, os.WriteFile(name+".new", f.content, 0o600))
		require.NoError(c.t, os.Rename(name+".new", name))
	}
}

// secure connects over TLS. It returns the common name of the certificate that the gateway presented.
func (r *testGateway) secure(t *testing.T, path string, trusted *tls.Config) (c *client, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	trusted = trusted.Clone()
	trusted.VerifyConnection = func(s tls.ConnectionState) error {
		name = s.PeerCertificates[0].Subject.CommonName
		return nil
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: trusted}}
	conn, _, err := websocket.Dial(ctx, "wss://"+r.Addr()+path, &websocket.DialOptions{HTTPClient: web})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{conn, t}, name
}

func TestTLSServesBothProtocols(t *testing.T) {
	pair, files := certtest.New(t, "one"), certificates{t, t.TempDir()}
	files.put(pair.Cert, pair.Key)
	r := start(t, files.configure, func(cfg *config.Config) { cfg.APIKey, cfg.DrainPropagationDelay = "secret", 0 })
	trusted := certtest.Client(t, pair)

	c, _ := r.secure(t, "/ws?channel=a", trusted)
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: trusted, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+r.Addr()+"/api/publish", nil)
	require.NoError(t, err)
	response, err := web.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusUnauthorized, response.StatusCode, "the API is there too")
	c.text("hello")
	c.expect("hello")

	_, _, err = websocket.Dial(t.Context(), r.url("/ws?channel=a"), nil)
	require.Error(t, err, "no way around it")
	require.Equal(t, http.StatusOK, r.admin(t, http.MethodGet, "/readyz").status, "the private port stays as it is")

	r.Terminate("test", true)
	c.closed(1012, "")
	r.ended(t)
}

// The gateway speaks WebSocket over HTTP/1.1 only, so it must not offer HTTP/2: a browser that got it would make its
// handshake there (RFC 8441).
func TestTLSOffersHTTP1Only(t *testing.T) {
	pair, files := certtest.New(t, "one"), certificates{t, t.TempDir()}
	files.put(pair.Cert, pair.Key)
	r := start(t, files.configure)
	for name, c := range map[string]struct {
		offers []string
		chosen string
		fails  bool
	}{
		"a browser":            {[]string{"h2", "http/1.1"}, "http/1.1", false},
		"a WebSocket client":   {[]string{"http/1.1"}, "http/1.1", false},
		"a client without one": {nil, "", false},
		"HTTP/2 only":          {[]string{"h2"}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			config := certtest.Client(t, pair)
			config.NextProtos = c.offers
			nc, err := tls.Dial("tcp", r.Addr(), config)
			if c.fails {
				require.ErrorContains(t, err, "no application protocol")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.chosen, nc.ConnectionState().NegotiatedProtocol)
			require.NoError(t, nc.Close())
		})
	}
}

func TestTLSHandshakeTimeout(t *testing.T) {
	pair, files := certtest.New(t, "one"), certificates{t, t.TempDir()}
	files.put(pair.Cert, pair.Key)
	r := start(t, files.configure, func(cfg *config.Config) { cfg.HandshakeTimeout = 100 * time.Millisecond })
	for name, words := range map[string]string{"silent": "", "half a record": "\x16\x03\x01\x02"} {
		nc, err := net.Dial("tcp", r.Addr())
		require.NoError(t, err)
		require.NoError(t, nc.SetDeadline(time.Now().Add(waitTimeout)))
		_, err = io.WriteString(nc, words)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, nc)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, name)
		require.NoError(t, nc.Close())
	}
	r.awaitMetric(t, 2, "websocket_refused_total", "reason", "handshake_timeout")
}

// New clients get the new certificate. Connections that are open stay.
func TestTLSCertificateIsRenewedUnderLoad(t *testing.T) {
	one, two, files := certtest.New(t, "one"), certtest.New(t, "two"), certificates{t, t.TempDir()}
	files.put(one.Cert, one.Key)
	r := start(t, files.configure)
	trusted := certtest.Client(t, one, two)

	const talkers = 8
	stop := make(chan struct{})
	var talking sync.WaitGroup
	ended := sync.OnceFunc(func() { close(stop) })
	defer talking.Wait()
	defer ended()
	for i := range talkers {
		c, name := r.secure(t, "/ws?channel="+string(rune('a'+i)), trusted)
		require.Equal(t, "one", name)
		talking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := c.Write(t.Context(), websocket.MessageText, []byte("still here")); err != nil {
					t.Error("write:", err)
					return
				}
				if _, got, err := c.read(); err != nil || got != "still here" {
					t.Error("read:", got, err)
					return
				}
			}
		})
	}
	// presentedName returns the name in the certificate that a new client gets. Only handshakes read the files.
	presentedName := func() string {
		t.Helper()
		c, name := r.secure(t, "/ws?channel=new", trusted)
		require.NoError(t, c.CloseNow())
		return name
	}
	await := func(done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(waitTimeout); !done(); time.Sleep(tick) {
			require.True(t, time.Now().Before(deadline), "the gateway does not read the files")
		}
	}
	files.put(two.Cert, one.Key)
	await(func() bool {
		require.Equal(t, "one", presentedName(), "a certificate without its key is not used")
		return r.metric(t, "websocket_certificate_errors_total") == 1
	})
	files.put(two.Cert, two.Key)
	await(func() bool { return presentedName() == "two" })
	ended()
	talking.Wait()
	require.InDelta(t, 1, r.metric(t, "websocket_certificate_errors_total"), 0)
}

func TestTLSRefusesAWrongCertificateAtTheStart(t *testing.T) {
	one, two, files := certtest.New(t, "one"), certtest.New(t, "two"), certificates{t, t.TempDir()}
	files.put(one.Cert, two.Key)
	cfg := config.Default()
	cfg.Listen, cfg.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	files.configure(&cfg)
	_, err := gateway.New(t.Context(), cfg, gateway.Options{Logger: slog.New(slog.DiscardHandler)})
	for _, says := range []string{"tls-cert-file", "tls-key-file", cfg.TLSCertFile, cfg.TLSKeyFile} {
		require.ErrorContains(t, err, says)
	}
}
