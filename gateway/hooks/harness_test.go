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

// secret is a key that no other text of the tests contains.
const secret = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTAx"

// seen records what an Observer is told.
type seen struct {
	mu    sync.Mutex
	lines []string
}

func (s *seen) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *seen) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.lines...)
}

func (s *seen) HookCalled(hook, outcome string, took time.Duration) {
	if took < 0 {
		outcome = "in no time at all"
	}
	s.add("%s %s", hook, outcome)
}
func (s *seen) WebhookDelivered(outcome string, events int) { s.add("%s %d", outcome, events) }
func (s *seen) WebhookDropped(reason string, events int)    { s.add("%s %d", reason, events) }

// logged is a log that may be read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// arrived is a request as a backend got it.
type arrived struct {
	header http.Header
	body   string
	at     time.Time
}

// backend answers each request with the next answer, and with the last one from then on.
type backend struct {
	mu       sync.Mutex
	requests []arrived
	answers  []http.HandlerFunc
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	b.requests = append(b.requests, arrived{r.Header, string(body), time.Now()})
	answer := b.answers[0]
	if len(b.answers) > 1 {
		b.answers = b.answers[1:]
	}
	b.mu.Unlock()
	answer(w, r)
}

func (b *backend) then(answers ...http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers = answers
}

func (b *backend) got() []arrived {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]arrived{}, b.requests...)
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

// hooked makes hooks whose observer and log can be looked at.
func hooked(t *testing.T, o Options) (*Hooks, *seen, *logged) {
	t.Helper()
	s, l := &seen{}, &logged{}
	o.Observer, o.Logger = s, l.logger()
	h, err := New(o)
	require.NoError(t, err)
	t.Cleanup(h.client.CloseIdleConnections)
	return h, s, l
}

// everywhere is the same callback for all hooks.
func everywhere(c Callback) Options {
	rpc := c
	rpc.WhenDown = Refuse
	return Options{Connect: c, Subscribe: c, Publish: c, RPC: rpc}
}

// pipes is a network of one server, for tests with a clock of their own.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }
func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, errors.New("nobody listens")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// bubbled is listen and hooked within a synctest bubble. Every URL leads to the backend.
func bubbled(t *testing.T, o Options, answers ...http.HandlerFunc) (*backend, *Hooks, *seen) {
	t.Helper()
	b := &backend{answers: answers}
	network := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: b}
	served := make(chan error, 1)
	go func() { served <- server.Serve(network) }()
	o.dial = network.dial
	h, s, _ := hooked(t, o)
	t.Cleanup(func() {
		h.client.CloseIdleConnections()
		_ = server.Close()
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	return b, h, s
}
