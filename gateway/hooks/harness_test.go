package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret is a key that appears in no other text of the tests.
const secret = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTAx"

// fakeObserver records its calls as "hook outcome" or "outcome events".
type fakeObserver struct {
	mu    sync.Mutex
	lines []string
}

func (s *fakeObserver) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *fakeObserver) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.lines...)
}

func (s *fakeObserver) HookCalled(hook, outcome string, took time.Duration) {
	if took < 0 {
		outcome = "in no time at all"
	}
	s.add("%s %s", hook, outcome)
}
func (s *fakeObserver) WebhookDelivered(outcome string, events int) { s.add("%s %d", outcome, events) }
func (s *fakeObserver) WebhookDropped(reason string, events int)    { s.add("%s %d", reason, events) }

// logBuffer is a log that is safe for use by many goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// receivedRequest is a request that a backend received.
type receivedRequest struct {
	header http.Header
	body   string
	at     time.Time
}

// backend responds to each request with the next of its answers, and with the last one from then on.
type backend struct {
	mu       sync.Mutex
	requests []receivedRequest
	answers  []http.HandlerFunc
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	b.requests = append(b.requests, receivedRequest{r.Header, string(body), time.Now()})
	answer := b.answers[0]
	if len(b.answers) > 1 {
		b.answers = b.answers[1:]
	}
	b.mu.Unlock()
	answer(w, r)
}

func (b *backend) respondWith(answers ...http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers = answers
}

func (b *backend) got() []receivedRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]receivedRequest{}, b.requests...)
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

// listen starts a backend on a real port.
func listen(t *testing.T, answers ...http.HandlerFunc) (*backend, string) {
	t.Helper()
	b := &backend{answers: answers}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	return b, server.URL
}

// newHooks returns Hooks with a fakeObserver and a log.
func newHooks(t *testing.T, o Options) (*Hooks, *fakeObserver, *logBuffer) {
	t.Helper()
	s, l := &fakeObserver{}, &logBuffer{}
	o.Observer, o.Logger = s, l.logger()
	h, err := New(o)
	require.NoError(t, err)
	t.Cleanup(h.client.CloseIdleConnections)
	return h, s, l
}

// allCallbacks returns Options with the same configuration for all callbacks.
func allCallbacks(c Callback) Options {
	rpc := c
	rpc.WhenDown = Refuse
	return Options{Connect: c, Subscribe: c, Publish: c, RPC: rpc}
}

// pipeListener is a listener of net.Pipe connections, for tests in a synctest bubble.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipeListener"} }
func (p *pipeListener) Close() error {
	close(p.closed)
	return nil
}

func (p *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, errors.New("the server is closed")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// newSyncHooks returns a backend and Hooks for a synctest bubble. Every URL leads to the backend.
func newSyncHooks(t *testing.T, o Options, answers ...http.HandlerFunc) (*backend, *Hooks, *fakeObserver) {
	t.Helper()
	b := &backend{answers: answers}
	network := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: b}
	served := make(chan error, 1)
	go func() { served <- server.Serve(network) }()
	o.dial = network.dial
	h, s, _ := newHooks(t, o)
	t.Cleanup(func() {
		h.client.CloseIdleConnections()
		_ = server.Close()
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	return b, h, s
}
