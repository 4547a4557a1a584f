package server

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// bin holds the servers, built once.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if bin, err = os.MkdirTemp("", "wsfleet-bench-"); err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(bin) }()
		for _, build := range [][]string{
			{"build", "-o", bin + "/", "../../floor", "../../floor-nbio", "../../floor-transport"},
			{"-C", "../../../..", "build", "-o", bin + "/wsfleet-gateway", "./cmd/gateway"},
		} {
			if out, err := exec.Command("go", build...).CombinedOutput(); err != nil {
				panic(string(out))
			}
		}
		return m.Run()
	}())
}

func start(t *testing.T, target string, ping time.Duration) *Server {
	t.Helper()
	s, err := Start(t.Context(), target,
		Options{Bin: bin, Baseline: bin, PingInterval: ping, PongTimeout: ping / 2, MaxConnections: 100})
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	return s
}

// exchange is what a client sends in turn, and what all clients together receive for each.
type exchange struct {
	path  string
	steps []step
}

type step struct {
	send string
	// want are the lines that come, in any order.
	want []string
}

// info is what subscribers learn of the client that has published, normalised.
const info = `"info":{"user":"","client":"ID"}`

// exchanges are answered by every target in the same way, so that their figures can be compared.
var exchanges = map[string]exchange{
	"plain": {"/ws?channel=a", []step{
		{"hello", []string{"hello"}},
		{strings.Repeat("x", 3000), []string{strings.Repeat("x", 3000)}},
	}},
	"centrifuge, a command a frame": {"/connection/websocket", []step{
		{`{"id":1,"connect":{}}`, []string{`{"connect":{"ping":1000,"pong":true},"id":1}`}},
		{`{"id":7,"subscribe":{"channel":"a"}}`, []string{`{"id":7,"subscribe":{}}`}},
		{`{"id":8,"publish":{"channel":"a","data":{"n":[1,"}"]}}}`, []string{
			`{"id":8,"publish":{}}`, `{"push":{"channel":"a","pub":{"data":{"n":[1,"}"]},` + info + `}}}`,
		}},
	}},
	"centrifuge, unsubscribe": {"/connection/websocket", []step{
		{`{"id":1,"connect":{}}` + "\n" + `{"id":2,"subscribe":{"channel":"c"}}` + "\n" +
			`{"id":3,"unsubscribe":{"channel":"c"}}`,
			[]string{
				`{"connect":{"ping":1000,"pong":true},"id":1}`, `{"id":2,"subscribe":{}}`, `{"id":3,"unsubscribe":{}}`,
			}},
	}},
	"centrifuge, several commands a frame": {"/connection/websocket", []step{
		{`{"id":1,"connect":{}}` + "\n" + `{"id":2,"subscribe":{"channel":"b"}}`, []string{
			`{"connect":{"ping":1000,"pong":true},"id":1}`, `{"id":2,"subscribe":{}}`,
		}},
		{`{"publish":{"data":"x","channel":"b"},"id":3}` + "\n" + `{"id":4,"publish":{"channel":"b","data":"y"}}`, []string{
			`{"id":3,"publish":{}}`, `{"id":4,"publish":{}}`,
			`{"push":{"channel":"b","pub":{"data":"x",` + info + `}}}`,
			`{"push":{"channel":"b","pub":{"data":"y",` + info + `}}}`,
		}},
	}},
}

func TestTargetsAnswerAlike(t *testing.T) {
	for _, target := range Targets() {
		t.Run(target[0], func(t *testing.T) {
			s := start(t, target[0], 1000*time.Second)
			for name, e := range exchanges {
				t.Run(name, func(t *testing.T) {
					c := dial(t, s, e.path)
					for _, step := range e.steps {
						require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte(step.send)))
						require.Equal(t, step.want, read(t, c, len(step.want)))
					}
				})
			}
		})
	}
}

func TestTargetsPing(t *testing.T) {
	for _, target := range Targets() {
		t.Run(target[0], func(t *testing.T) {
			s := start(t, target[0], time.Second)

			pinged := make(chan struct{}, 100)
			plain := dial(t, s, "/ws?channel=a", func(o *websocket.DialOptions) {
				o.OnPingReceived = func(context.Context, []byte) bool { pinged <- struct{}{}; return true }
			})
			go func() { _, _, _ = plain.Read(context.Background()) }()

			c := dial(t, s, "/connection/websocket")
			require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte(`{"id":1,"connect":{}}`)))
			read(t, c, 1)
			for range 2 {
				require.Equal(t, []string{"{}"}, read(t, c, 1))
				require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte("{}")))
				select {
				case <-pinged:
				case <-time.After(timeout):
					t.Fatal("no ping")
				}
			}
		})
	}
}

func TestStartReportsWhyServerFailed(t *testing.T) {
	_, err := Start(t.Context(), Memory, Options{Bin: bin, PingInterval: time.Second, PongTimeout: time.Hour})
	require.ErrorContains(t, err, "pong-timeout")
	_, err = Start(t.Context(), "unknown", Options{})
	require.ErrorContains(t, err, "use floor, memory")
	_, err = Start(t.Context(), Floor, Options{Bin: t.TempDir()})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestStopLeavesNoProcess(t *testing.T) {
	s := start(t, Redis, time.Second)
	pid := s.PID
	s.Stop()
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
}

func dial(t *testing.T, s *Server, path string, change ...func(*websocket.DialOptions)) *websocket.Conn {
	t.Helper()
	o := &websocket.DialOptions{}
	for _, f := range change {
		f(o)
	}
	c, response, err := websocket.Dial(t.Context(), "ws://"+s.Address+path, o)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

// read collects n lines, sorted and normalised.
func read(t *testing.T, c *websocket.Conn, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	var lines []string
	for len(lines) < n {
		_, data, err := c.Read(ctx)
		require.NoError(t, err, "after %q", lines)
		for line := range strings.SplitSeq(strings.TrimSuffix(string(data), "\n"), "\n") {
			lines = append(lines, normalise(line))
		}
	}
	slices.Sort(lines)
	return lines
}

var clientID = regexp.MustCompile(`"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"`)

// normalise removes names, versions and the ping interval from a line.
func normalise(line string) string {
	line = clientID.ReplaceAllString(line, `"ID"`)
	var reply struct {
		ID      int            `json:"id"`
		Connect map[string]any `json:"connect"`
	}
	if json.Unmarshal([]byte(line), &reply) != nil || reply.Connect == nil {
		return line
	}
	for _, name := range []string{"client", "version", "node"} {
		delete(reply.Connect, name)
	}
	reply.Connect["ping"] = 1000
	b, err := json.Marshal(map[string]any{"id": reply.ID, "connect": reply.Connect})
	if err != nil {
		return err.Error()
	}
	return string(b)
}
