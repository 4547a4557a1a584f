package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway"
	"github.com/wsfleet/wsfleet/gateway/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waitTimeout is the maximum time that a test waits for something that should happen at once.
const waitTimeout = 10 * time.Second

// tick is the interval in which a test polls.
const tick = 10 * time.Millisecond

// pingInterval is so long that no ping comes during a test. The gateway sends the first one at a random time within it.
const pingInterval = 1000 * time.Hour

// testGateway is a gateway under test.
type testGateway struct {
	*gateway.Gateway
	log  *lockedBuffer
	stop context.CancelFunc
	done chan error
}

// start runs a gateway on free ports until the test ends. change sets what the test is about.
func start(t testing.TB, change ...func(*config.Config)) *testGateway {
	t.Helper()
	return startWithCloseTimeout(t, time.Second, change...)
}

// startWithCloseTimeout is start with the maximum time until clients have answered a close frame.
func startWithCloseTimeout(t testing.TB, closeTimeout time.Duration, change ...func(*config.Config)) *testGateway {
	t.Helper()
	return startWith(t, gateway.Options{CloseTimeout: closeTimeout}, change...)
}

// startWith is start with options.
func startWith(t testing.TB, o gateway.Options, change ...func(*config.Config)) *testGateway {
	t.Helper()
	cfg := config.Default()
	cfg.NodeName, cfg.Listen, cfg.AdminListen = "node-1", "127.0.0.1:0", "127.0.0.1:0"
	cfg.PingInterval = pingInterval
	// Tests send as fast as they can.
	cfg.ConnectRate, cfg.MessageRate = 0, 0
	// Tests of refusals do not wait for them, but for those that are about that.
	cfg.RefusalDelay = 0
	for _, c := range change {
		c(&cfg)
	}
	r := &testGateway{log: &lockedBuffer{}, done: make(chan error, 1)}
	o.Version, o.Logger = "v0.0.0-test", slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	g, err := gateway.New(t.Context(), cfg, o)
	require.NoError(t, err)
	r.Gateway = g
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.done <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-r.done:
			require.NoError(t, err)
		case <-time.After(waitTimeout):
			t.Error("the gateway did not end")
		}
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	return r
}

// ended waits until Run has returned by itself.
func (r *testGateway) ended(t *testing.T) {
	t.Helper()
	select {
	case err := <-r.done:
		require.NoError(t, err)
		r.done <- nil
	case <-time.After(waitTimeout):
		t.Fatal("the gateway did not end")
	}
}

// url returns the URL of a path of the public port.
func (r *testGateway) url(path string) string { return "ws://" + r.Addr() + path }

// client is a WebSocket client of another implementation than the gateway's.
type client struct {
	*websocket.Conn
	t testing.TB
}

// dial connects to a path of the public port.
func (r *testGateway) dial(t testing.TB, path string, o ...*websocket.DialOptions) *client {
	t.Helper()
	c, response, err := r.tryDial(t, path, o...)
	require.NoError(t, err)
	require.Equal(t, "node-1", response.Header.Get("Wsfleet-Node"))
	return c
}

// tryDial is dial for a handshake that may be refused.
func (r *testGateway) tryDial(t testing.TB, path string, o ...*websocket.DialOptions) (*client, *http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	c, response, err := websocket.Dial(ctx, r.url(path), append(o, nil)[0])
	if err != nil {
		return nil, response, err
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return &client{c, t}, response, nil
}

func (c *client) send(kind websocket.MessageType, data string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), waitTimeout)
	defer cancel()
	require.NoError(c.t, c.Write(ctx, kind, []byte(data)))
}

func (c *client) text(data string) {
	c.t.Helper()
	c.send(websocket.MessageText, data)
}

func (c *client) read() (websocket.MessageType, string, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), waitTimeout)
	defer cancel()
	kind, data, err := c.Read(ctx)
	return kind, string(data), err
}

func (c *client) expect(want string) {
	c.t.Helper()
	_, data, err := c.read()
	require.NoError(c.t, err)
	require.Equal(c.t, want, data)
}

// sendUntil publishes messages of 60 KiB to the channel of c and awaits each of them, until done returns true.
func (c *client) sendUntil(done func() bool) {
	c.t.Helper()
	c.SetReadLimit(1 << 20)
	message := strings.Repeat("x", 60<<10)
	for deadline := time.Now().Add(3 * waitTimeout); !done(); {
		require.True(c.t, time.Now().Before(deadline), "still no effect")
		c.text(message)
		c.expect(message)
	}
}

// closed reads until the close frame and asserts its code and a part of its reason.
func (c *client) closed(code int, reason string) {
	c.t.Helper()
	for {
		_, _, err := c.read()
		if err == nil {
			continue
		}
		var closed websocket.CloseError
		require.ErrorAs(c.t, err, &closed, "a close frame, not a broken connection")
		require.Equal(c.t, code, int(closed.Code), closed.Reason)
		require.Contains(c.t, closed.Reason, reason)
		return
	}
}

// rawClient writes bytes to a TCP connection, for frames that no library sends.
type rawClient struct {
	net.Conn
	in *bufio.Reader
	t  *testing.T
}

func (r *testGateway) dialTCP(t *testing.T, path string) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", r.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(waitTimeout)))
	c := &rawClient{conn, bufio.NewReader(conn), t}
	c.write("GET " + path + " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	response, err := http.ReadResponse(c.in, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	return c
}

func (c *rawClient) write(data string) {
	c.t.Helper()
	_, err := io.WriteString(c, data)
	require.NoError(c.t, err)
}

// frame reads one frame of at most 125 bytes from the gateway.
func (c *rawClient) frame() (first byte, payload []byte) {
	c.t.Helper()
	header := make([]byte, 2)
	_, err := io.ReadFull(c.in, header)
	require.NoError(c.t, err)
	payload = make([]byte, header[1])
	_, err = io.ReadFull(c.in, payload)
	require.NoError(c.t, err)
	return header[0], payload
}

// expectClose reads a close frame, then the end of the stream. A reset of the connection fails the test.
func (c *rawClient) expectClose(code int) {
	c.t.Helper()
	first, payload := c.frame()
	require.Equal(c.t, byte(0x88), first)
	require.Equal(c.t, code, int(payload[0])<<8|int(payload[1]), string(payload[2:]))
	_, err := c.in.ReadByte()
	require.ErrorIs(c.t, err, io.EOF)
}

// answer is a response of the private port or the server API.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t *testing.T, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(a.body), v), a.body)
}

func request(t testing.TB, method, url, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: waitTimeout}).Do(r)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response.StatusCode, response.Header, string(content)}
}

// admin sends a request to the private port.
func (r *testGateway) admin(t testing.TB, method, path string, header ...string) answer {
	t.Helper()
	return request(t, method, "http://"+r.AdminAddr()+path, "", header...)
}

// metric returns the sum of a metric's samples whose labels contain all given pairs.
func (r *testGateway) metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(r.admin(t, http.MethodGet, "/metrics").body))
	require.NoError(t, err)
	sum := 0.0
	for _, m := range families[name].GetMetric() {
		have := map[string]string{}
		for _, l := range m.GetLabel() {
			have[l.GetName()] = l.GetValue()
		}
		match := true
		for i := 0; i+1 < len(labels); i += 2 {
			match = match && have[labels[i]] == labels[i+1]
		}
		if match {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

func (r *testGateway) awaitMetric(t testing.TB, want float64, name string, labels ...string) {
	t.Helper()
	var got float64
	for deadline := time.Now().Add(waitTimeout); time.Now().Before(deadline); time.Sleep(tick) {
		if got = r.metric(t, name, labels...); got == want {
			return
		}
	}
	require.FailNow(t, "the metric is not what it should be", "%s%v: %v, want %v", name, labels, got, want)
}

// lockedBuffer holds a log that a test reads while the gateway writes it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
