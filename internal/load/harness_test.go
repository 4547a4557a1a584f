package load

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// asWorker is the environment variable that makes this test binary run as a worker.
const asWorker = "WSFLEET_TEST_AS_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		if err := ServeWorker(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// The tests wait for time to pass more than they compute.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

func startWorker() *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asWorker+"=1")
	cmd.Stderr = os.Stderr
	return cmd
}

// testTimeout bounds waits for events that should happen at once.
const testTimeout = 10 * time.Second

// options returns the options of a short run; change sets those that the test is about.
func options(s Scenario, url string, change func(*Options)) Options {
	o := Defaults()
	o.Scenario, o.URL = s, url
	o.Clients, o.Timeout = 6, testTimeout
	o.Duration, o.Hold, o.Warmup = 200*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	change(&o)
	return o
}

func run(t *testing.T, o Options) *Result {
	t.Helper()
	r, err := Run(t.Context(), o, Callbacks{WorkerCommand: startWorker})
	require.NoError(t, err)
	return r
}

// startGateway runs a gateway and returns its URL.
func startGateway(t *testing.T, rules ...channel.Rule) string {
	t.Helper()
	cfg := config.Default()
	cfg.Channels = rules
	// The default rate limits are below the rates of these tests.
	cfg.ConnectRate, cfg.MessageRate = 0, 0
	cfg.NodeName, cfg.Listen, cfg.AdminListen = "node-1", "127.0.0.1:0", "127.0.0.1:0"
	g, err := gateway.New(t.Context(), cfg,
		gateway.Options{Version: "test", CloseTimeout: time.Second, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return "ws://" + g.Addr()
}

// fakeServer is a server of both protocols that makes the mistakes that a test sets.
type fakeServer struct {
	*httptest.Server
	// deliver sends a publication to one subscriber. It is called with mu held.
	deliver func(p *fakePeer, line []byte)
	// publish returns the reply to a publication.
	publish func(p *fakePeer) string
	// accept returns the status that a handshake is answered with; 0 accepts it.
	accept func(handshakes int) int
	// onSubscribed is called when a client is subscribed.
	onSubscribed func(p *fakePeer)
	// publicationSuffix returns further fields of a publication, and subscribe the reply to a subscription. Both are
	// called with mu held.
	publicationSuffix, subscribe func(text string) string

	mu         sync.Mutex
	handshakes int
	peers      map[*fakePeer]bool
}

type fakePeer struct {
	server  *fakeServer
	conn    *websocket.Conn
	channel string
	// seen and delayed belong to the test's deliver.
	seen    int
	delayed []byte
	// pongs receives the client's answers to pings.
	pongs chan string
}

func (p *fakePeer) send(text string) {
	// When the client is gone, the write fails and the reader notices.
	_ = p.conn.Write(context.Background(), websocket.MessageText, []byte(text))
}

func startFakeServer(t *testing.T, change func(*fakeServer)) *fakeServer {
	t.Helper()
	f := newFakeServer(change)
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.stop)
	return f
}

func newFakeServer(change func(*fakeServer)) *fakeServer {
	f := &fakeServer{peers: map[*fakePeer]bool{}}
	f.deliver = func(p *fakePeer, line []byte) { p.send(string(line)) }
	f.publish = func(*fakePeer) string { return `"publish":{}` }
	f.accept = func(int) int { return 0 }
	f.onSubscribed = func(*fakePeer) {}
	f.publicationSuffix = func(string) string { return "" }
	f.subscribe = func(string) string { return `{}` }
	change(f)
	return f
}

func (f *fakeServer) stop() {
	f.cut()
	f.Close()
}

// cut closes all connections without a close frame.
func (f *fakeServer) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.peers {
		_ = p.conn.CloseNow()
	}
}

func (f *fakeServer) url() string { return "ws" + strings.TrimPrefix(f.URL, "http") }

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.handshakes++
	status := f.accept(f.handshakes)
	f.mu.Unlock()
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	conn.SetReadLimit(-1)
	p := &fakePeer{server: f, conn: conn, channel: r.URL.Query().Get("channel"), pongs: make(chan string, 1)}
	if p.channel != "" {
		f.join(p)
	}
	defer f.leave(p)
	for {
		_, frame, err := conn.Read(context.Background())
		if err != nil {
			return
		}
		if p.channel != "" && r.URL.Query().Has("channel") {
			f.fanOut(p.channel, func() []byte { return frame })
			continue
		}
		for line := range bytes.SplitSeq(frame, []byte("\n")) {
			f.command(p, line)
		}
	}
}

func (f *fakeServer) join(p *fakePeer) {
	f.mu.Lock()
	f.peers[p] = true
	f.mu.Unlock()
	f.onSubscribed(p)
}

func (f *fakeServer) leave(p *fakePeer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.peers, p)
	_ = p.conn.CloseNow()
}

func (f *fakeServer) command(p *fakePeer, line []byte) {
	var c struct {
		ID        int
		Connect   *struct{}
		Subscribe *struct{ Channel string }
		Publish   *struct {
			Channel string
			Data    json.RawMessage
		}
	}
	if json.Unmarshal(line, &c) != nil {
		return
	}
	switch {
	case c.Connect != nil:
		p.send(fmt.Sprintf(`{"id":%d,"connect":{"client":"x"}}`, c.ID))
	case c.Subscribe != nil:
		p.channel = c.Subscribe.Channel
		f.mu.Lock()
		p.send(fmt.Sprintf(`{"id":%d,"subscribe":%s}`, c.ID, f.subscribe(string(line))))
		f.peers[p] = true
		f.mu.Unlock()
		f.onSubscribed(p)
	case c.Publish != nil:
		answer := f.publish(p)
		if strings.HasPrefix(answer, `"publish"`) {
			f.fanOut(c.Publish.Channel, func() []byte {
				return fmt.Appendf(nil, `{"push":{"channel":%q,"pub":{"data":%s%s}}}`, c.Publish.Channel, c.Publish.Data,
					f.publicationSuffix(string(c.Publish.Data)))
			})
		}
		p.send(fmt.Sprintf(`{"id":%d,%s}`, c.ID, answer))
	default:
		select {
		case p.pongs <- string(line):
		default:
		}
	}
}

func (f *fakeServer) fanOut(channel string, encode func() []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := encode()
	for p := range f.peers {
		if p.channel == channel {
			f.deliver(p, line)
		}
	}
}
