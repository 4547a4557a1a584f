package load

import (
	"bytes"
	"context"
	"encoding/json"
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

// asWorker makes this test binary a worker's process.
const asWorker = "WSFLEET_TEST_AS_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		if err := ServeWorker(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func startWorker() *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asWorker+"=1")
	cmd.Stderr = os.Stderr
	return cmd
}

// patience is for what should happen at once.
const patience = 10 * time.Second

// options are a short run; change sets what the test is about.
func options(s Scenario, url string, change func(*Options)) Options {
	o := Defaults()
	o.Scenario, o.URL = s, url
	o.Clients, o.Duration, o.Hold, o.Warmup, o.Timeout = 6, 200*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond, patience
	change(&o)
	return o
}

func run(t *testing.T, o Options) *Result {
	t.Helper()
	r, err := Run(t.Context(), o, Surroundings{Start: startWorker})
	require.NoError(t, err)
	return r
}

// startGateway is a real one.
func startGateway(t *testing.T, rules ...channel.Rule) string {
	t.Helper()
	cfg := config.Default()
	cfg.Channels = rules
	// Load comes faster than clients may by default.
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

// fake is a server that makes mistakes when told to.
type fake struct {
	*httptest.Server
	// deliver sends a publication to one subscriber; it holds the lock.
	deliver func(p *peer, line []byte)
	// publish is the answer to a publication.
	publish func(p *peer) string
	// accept says what a handshake is answered with; 0 is the upgrade.
	accept func(handshakes int) int
	// subscribed is told of a peer that is there.
	subscribed func(p *peer)
	// stamp is what a publication has besides its data, and subscribe the answer to a subscription; both
	// hold the lock.
	stamp, subscribe func(text string) string

	mu         sync.Mutex
	handshakes int
	peers      map[*peer]bool
}

type peer struct {
	fake    *fake
	conn    *websocket.Conn
	channel string
	// seen and held are for what a test's deliver does.
	seen int
	held []byte
	// pongs gets the client's answers to pings.
	pongs chan string
}

func (p *peer) send(text string) {
	// A client that is gone fails the write, and is noticed by its reader.
	_ = p.conn.Write(context.Background(), websocket.MessageText, []byte(text))
}

func startFake(t *testing.T, change func(*fake)) *fake {
	t.Helper()
	f := newFake(change)
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.stop)
	return f
}

func newFake(change func(*fake)) *fake {
	f := &fake{peers: map[*peer]bool{}}
	f.deliver = func(p *peer, line []byte) { p.send(string(line)) }
	f.publish = func(*peer) string { return `"publish":{}` }
	f.accept = func(int) int { return 0 }
	f.subscribed = func(*peer) {}
	f.stamp = func(string) string { return "" }
	f.subscribe = func(string) string { return `{}` }
	change(f)
	return f
}

func (f *fake) stop() {
	f.cut()
	f.Close()
}

// cut ends all connections without a close frame.
func (f *fake) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.peers {
		_ = p.conn.CloseNow()
	}
}

func (f *fake) url() string { return "ws" + strings.TrimPrefix(f.URL, "http") }

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	p := &peer{fake: f, conn: conn, channel: r.URL.Query().Get("channel"), pongs: make(chan string, 1)}
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

func (f *fake) join(p *peer) {
	f.mu.Lock()
	f.peers[p] = true
	f.mu.Unlock()
	f.subscribed(p)
}

func (f *fake) leave(p *peer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.peers, p)
	_ = p.conn.CloseNow()
}

func (f *fake) command(p *peer, line []byte) {
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
		f.subscribed(p)
	case c.Publish != nil:
		answer := f.publish(p)
		if strings.HasPrefix(answer, `"publish"`) {
			f.fanOut(c.Publish.Channel, func() []byte {
				return fmt.Appendf(nil, `{"push":{"channel":%q,"pub":{"data":%s%s}}}`, c.Publish.Channel, c.Publish.Data,
					f.stamp(string(c.Publish.Data)))
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

func (f *fake) fanOut(channel string, encode func() []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := encode()
	for p := range f.peers {
		if p.channel == channel {
			f.deliver(p, line)
		}
	}
}
