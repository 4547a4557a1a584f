package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

// plugin returns the program under its name as a plugin of kubectl, for the API server.
func plugin(t *testing.T, api *fakeAPI, args ...string) *exec.Cmd {
	t.Helper()
	return programAs(t, pluginName, api, args...)
}

// programAs returns the program under a name, for the API server.
func programAs(t *testing.T, name string, api *fakeAPI, args ...string) *exec.Cmd {
	t.Helper()
	cmd := command(t, args...)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd.Path = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Symlink(self, cmd.Path))
	cmd.Args[0] = cmd.Path
	cmd.Env = append(cmd.Env, "KUBECONFIG="+api.kubeconfig())
	return cmd
}

// result is what a program did.
type result struct {
	code           int
	stdout, stderr string
}

func run(cmd *exec.Cmd) result {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// succeed runs a program that must end without an error, and returns what it wrote.
func succeed(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	r := run(cmd)
	require.Zero(t, r.code, r.stderr)
	return r
}

// words returns the words of the line that begins with a word.
func words(t *testing.T, text, first string) []string {
	t.Helper()
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] == first {
			return fields
		}
	}
	t.Fatalf("no line begins with %s:\n%s", first, text)
	return nil
}

func TestStatusAsksTheGateways(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 2)
	served := api.putGateway("chat", "chat-gateway-1")
	api.putPod("chat", "chat-gateway-2")
	connect(t, served.Addr(), 1)

	for _, cmd := range []*exec.Cmd{
		plugin(t, api, "status"), plugin(t, api, "status", "chat"), programAs(t, "wsfleet", api, "fleet", "status"),
	} {
		out := succeed(t, cmd).stdout
		assert.Contains(t, out, "Fleet:        default/chat")
		assert.Contains(t, out, "Gateways:     1 of 2 serve")
		row := words(t, out, "chat-gateway-1")
		assert.Equal(t, []string{"chat-gateway-1", "node-1", "-", "serving"}, row[:4])
		assert.True(t, strings.HasPrefix(row[4], "1/"), row[4])
		assert.Contains(t, out, "chat-gateway-2 is silent: ")
		assert.Contains(t, out, "error forwarding port 9090: connection refused", "the kubelet's own words")
		assert.NotContains(t, out, testToken)
	}
}

// A proxy in front of the API server may let no WebSocket through.
func TestGatewaysAreReachedWithoutAWebSocket(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.withoutWebSocket = true
	api.putFleet("chat", 1)
	api.putGateway("chat", "chat-gateway-1")
	assert.Contains(t, succeed(t, plugin(t, api, "status")).stdout, "Gateways:     1 of 1 serve")
}

// connect opens connections to a gateway until the test ends.
func connect(t *testing.T, address string, n int) {
	t.Helper()
	for range n {
		conn, err := wsclient.Dial(t.Context(), wsclient.Plain, address, "lobby", nil)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.CloseNow() })
		go func() {
			for {
				// A client that reads answers a close frame.
				if _, err := conn.Receive(context.Background()); err != nil {
					return
				}
			}
		}()
	}
}

func TestStatusHasFormatsForScripts(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	api.putGateway("chat", "chat-gateway-1")
	var asJSON, asYAML fleetview.Fleet
	require.NoError(t, json.Unmarshal([]byte(succeed(t, plugin(t, api, "status", "-o", "json")).stdout), &asJSON))
	require.NoError(t, yaml.Unmarshal([]byte(succeed(t, plugin(t, api, "status", "-o", "yaml")).stdout), &asYAML))
	asYAML.Gateways[0].ConnectRate = asJSON.Gateways[0].ConnectRate
	assert.Equal(t, asJSON, asYAML)
	assert.Equal(t, fleetview.KindFleet, asJSON.Kind)
	assert.Equal(t, fleetview.StateServing, asJSON.Gateways[0].State)
}

func TestStatusListsSeveralFleets(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	api.putFleet("feed", 1)
	out := succeed(t, plugin(t, api, "status")).stdout
	assert.Equal(t, []string{"chat", "1/1", "0/0", "0", "-"}, words(t, out, "chat"))
	assert.Equal(t, []string{"feed", "1/1", "0/0", "0", "-"}, words(t, out, "feed"))
}

func TestFleetCommandsSayWhatToDo(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no such fleet":   {[]string{"status", "chatt"}, exitFailed, "there is no fleet chatt in namespace default"},
		"no fleet":        {[]string{"status", "-n", "elsewhere"}, exitFailed, "there is no fleet in namespace elsewhere"},
		"another context": {[]string{"status", "--context", "elsewhere"}, exitFailed, "no fleet in namespace elsewhere"},
		"no such context": {[]string{"status", "--context", "nowhere"}, exitFailed, `context "nowhere" does not exist`},
		"no kubeconfig":   {[]string{"status", "--kubeconfig", "/nowhere"}, exitFailed, "/nowhere"},
		"two fleets":      {[]string{"status", "a", "b"}, exitUsage, "name one fleet at most"},
		"unknown format":  {[]string{"status", "-o", "xml"}, exitUsage, "use table, json or yaml"},
		"unknown command": {[]string{"state"}, exitUsage, `unknown command "state"; see ` + "`kubectl wsc --help`"},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(plugin(t, api, c.args...))
			assert.Equal(t, c.code, r.code)
			assert.Contains(t, r.stderr, c.want)
			assert.Empty(t, r.stdout)
		})
	}
}

func TestFleetCommandsNeedAKubeconfig(t *testing.T) {
	cmd := plugin(t, startAPI(t), "status")
	empty := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	cmd.Env = append(cmd.Env, "KUBECONFIG="+empty)
	r := run(cmd)
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "give --kubeconfig, or set KUBECONFIG")
}

// A cluster in which wsfleet is not installed answers as for any path that it does not have.
func TestStatusWithoutTheDefinition(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.server.Config.Handler = http404
	for _, args := range [][]string{{"status"}, {"status", "chat"}} {
		r := run(plugin(t, api, args...))
		assert.Equal(t, exitFailed, r.code)
		assert.Contains(t, r.stderr, "the cluster has no kind WebSocketCluster: install wsfleet")
	}
}

// A user without the right to read Secrets sees what the operator has written.
func TestStatusWithoutTheAdminSecret(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	cluster := api.putFleet("chat", 1)
	cluster.Status.Connections = 7
	api.putGateway("chat", "chat-gateway-1")
	api.refuse("secrets/chat-admin")
	out := succeed(t, plugin(t, api, "status")).stdout
	assert.Contains(t, out, "Connections:  7")
	assert.Contains(t, out, `secrets "chat-admin" is forbidden`)
	assert.Equal(t, "unknown", words(t, out, "chat-gateway-1")[3])
}

func TestWatchWritesADocumentForEachChange(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	served := api.putGateway("chat", "chat-gateway-1")
	cmd := plugin(t, api, "status", "--watch", "-o", "json")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	documents := json.NewDecoder(bufio.NewReader(out))
	var before, after fleetview.Fleet
	require.NoError(t, documents.Decode(&before))
	connect(t, served.Addr(), 3)
	for after.Connections != 3 {
		require.NoError(t, documents.Decode(&after))
	}
	assert.Zero(t, before.Connections)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait(), "an interrupt is how a watch ends")
}

func TestWatchGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	cmd := plugin(t, api, "status", "chat", "--watch", "-o", "json")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	errs, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	documents, lines := json.NewDecoder(out), bufio.NewScanner(errs)
	var status fleetview.Fleet
	require.NoError(t, documents.Decode(&status))
	api.remove("websocketclusters/chat")
	require.True(t, lines.Scan())
	assert.Equal(t, "trying again: there is no fleet chat in namespace default: `status` without a name lists those that "+
		"there are", lines.Text())
	api.putFleet("chat", 5)
	require.NoError(t, documents.Decode(&status))
	assert.Equal(t, 5, status.Size)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait())
}

// page is a document of one text.
type page string

func (p page) WriteText(w io.Writer) error {
	_, err := io.WriteString(w, string(p))
	return err
}

// A terminal is drawn over in place: it is cleared once, and each line erases what was longer before.
func TestWatchRedrawsATerminal(t *testing.T) {
	var out bytes.Buffer
	w := watcher{out: &out, format: outputTable}
	require.NoError(t, w.draw(page("one\ntwo\n"), 80, 24))
	assert.Equal(t, "\x1b[2J\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J", out.String())
	out.Reset()
	require.NoError(t, w.draw(page("three and more\n"), 5, 24))
	assert.Equal(t, "\x1b[Hthree\x1b[K\n\x1b[J", out.String())
	out.Reset()
	w.failure = "no answer"
	require.NoError(t, w.draw(w.last, 80, 24))
	assert.Contains(t, out.String(), "Shown is an earlier state; trying again: no answer")
}

func TestWatchWritesATableOnlyWhenSomethingHasChanged(t *testing.T) {
	var out bytes.Buffer
	w := watcher{out: &out, format: outputTable}
	for _, text := range []page{"one\n", "one\n", "two\n"} {
		require.NoError(t, w.show(text))
	}
	assert.Equal(t, "one\n\ntwo\n", out.String())
}

func TestNamesAreCompleted(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	api.putFleet("feed", 1)
	for name, c := range map[string]struct{ args, want []string }{
		"fleets":    {[]string{"status", ""}, []string{"chat", "feed"}},
		"no second": {[]string{"status", "chat", ""}, nil},
		"contexts":  {[]string{"status", "--context", ""}, []string{"elsewhere", "test"}},
		"formats":   {[]string{"status", "-o", ""}, []string{"json", "table", "yaml"}},
		"namespace": {[]string{"status", "-n", "elsewhere", ""}, nil},
	} {
		t.Run(name, func(t *testing.T) { assert.ElementsMatch(t, c.want, completions(t, api, c.args...)) })
	}
}

// completions returns what a shell offers for the last argument.
func completions(t *testing.T, api *fakeAPI, args ...string) []string {
	t.Helper()
	var offered []string
	for line := range strings.Lines(succeed(t, programAs(t, completeName, api, args...)).stdout) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); !strings.HasPrefix(name, ":") {
			offered = append(offered, name)
		}
	}
	return offered
}

func TestHelpNamesTheProgram(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	assert.Contains(t, succeed(t, plugin(t, api)).stdout, "kubectl wsc [command]")
	assert.Contains(t, succeed(t, plugin(t, api, "status", "--help")).stdout, "  kubectl wsc status chat")
	assert.Contains(t, succeed(t, programAs(t, "wsfleet", api, "fleet", "status", "--help")).stdout,
		"  wsfleet fleet status chat")
	assert.NotEmpty(t, succeed(t, plugin(t, api, "version")).stdout)
}
