package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// following is a tail that runs.
type following struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr *bufio.Scanner
}

// follow starts a tail.
func follow(t *testing.T, api *fakeAPI, args ...string) following {
	t.Helper()
	cmd := plugin(t, api, append([]string{"tail"}, args...)...)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return following{t, cmd, bufio.NewScanner(stdout), bufio.NewScanner(stderr)}
}

// said returns the next line of the errors.
func (f following) said() string {
	f.t.Helper()
	require.True(f.t, f.stderr.Scan())
	return f.stderr.Text()
}

// printed returns the next line of the output.
func (f following) printed() string {
	f.t.Helper()
	require.True(f.t, f.stdout.Scan())
	return f.stdout.Text()
}

// rest returns the errors until the end.
func (f following) rest() string {
	text := ""
	for f.stderr.Scan() {
		text += f.stderr.Text() + "\n"
	}
	return text
}

// exit returns the exit code of the process, when it has ended.
func (f following) exit() int {
	f.t.Helper()
	_ = f.cmd.Wait()
	return f.cmd.ProcessState.ExitCode()
}

func TestTailPrintsPublicationsAsTheyCome(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	conn := connectAs(t, api.putGateway("chat", "chat-gateway-1"), "alice", "news")
	tail := follow(t, api, "chat", "news")
	assert.Equal(t, "following news on chat-gateway-1", tail.said())
	succeed(t, plugin(t, api, "publish", "news", `{"title": "a  <b>"}`))
	assert.Equal(t, `-  -  {"title":"a  <b>"}`, tail.printed())
	require.NoError(t, conn.Publish(t.Context(), "\x1b[2J"))
	assert.Equal(t, `-  alice  "\u001b[2J"`, tail.printed(), "a client must not control the terminal")

	require.NoError(t, tail.cmd.Process.Signal(os.Interrupt))
	assert.Empty(t, tail.rest())
	assert.Equal(t, 0, tail.exit(), "an interrupt is how a tail ends")
}

func TestTailBeginsWithTheHistory(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	api.putGateway("chat", "chat-gateway-1", withHistory)
	for _, data := range []string{"1", "2", "3"} {
		succeed(t, plugin(t, api, "publish", "news", data))
	}
	tail := follow(t, api, "news", "--history", "2", "-o", "json")
	assert.Equal(t, "following news on chat-gateway-1 from offset 2", tail.said())
	var publication fleetview.Publication
	for want := uint64(2); want <= 3; want++ {
		require.NoError(t, json.Unmarshal([]byte(tail.printed()), &publication))
		assert.Equal(t, want, publication.Offset)
		assert.NotEmpty(t, publication.Epoch)
	}
	require.NoError(t, tail.cmd.Process.Signal(os.Interrupt))
	assert.Equal(t, 0, tail.exit())

	tail = follow(t, api, "news", "--history", "1", "-o", "yaml")
	assert.Equal(t, "---", tail.printed())
	require.NoError(t, tail.cmd.Process.Signal(os.Interrupt))
	rest := ""
	for tail.stdout.Scan() {
		rest += tail.stdout.Text() + "\n"
	}
	require.NoError(t, yaml.Unmarshal([]byte(rest), &publication))
	assert.Equal(t, "3", string(publication.Data))
	assert.Equal(t, 0, tail.exit())
}

func TestTailWithoutABackplane(t *testing.T) {
	t.Parallel()
	u := startUsers(t)
	tail := follow(t, u.fakeAPI, "news")
	assert.Contains(t, tail.said(), "what is published on other gateways is not shown; choose one with --pod")
	assert.Equal(t, "following news on chat-gateway-1", tail.said())
	require.NoError(t, tail.cmd.Process.Kill())
	tail.exit()

	tail = follow(t, u.fakeAPI, "news", "--pod", "chat-gateway-2")
	assert.Equal(t, "following news on chat-gateway-2", tail.said())
	require.NoError(t, tail.cmd.Process.Kill())
	tail.exit()
}

func TestTailSaysWhyItEnds(t *testing.T) {
	t.Parallel()
	for want, end := range map[string]func(w io.Writer){
		"gateway chat-gateway-1 ended the stream: the gateway ends": func(w io.Writer) {
			_, _ = io.WriteString(w, `{"ended":"the gateway ends"}`)
		},
		"gateway chat-gateway-1 has ended: begin again, on another one": func(io.Writer) {},
		"read the answer of gateway chat-gateway-1: invalid character":  func(w io.Writer) { _, _ = io.WriteString(w, "?") },
	} {
		api := startAPI(t)
		api.putFleet("chat", 1)
		api.putFakeGateway("chat", "chat-gateway-1", reportOf(contract.BrokerReady), map[string]http.HandlerFunc{
			contract.PathTail: func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "\n{\"publication\":{\"data\":1}}\n\n{\"later\":{}}\n")
				end(w)
			},
		})
		r := run(plugin(t, api, "tail", "news"))
		assert.Equal(t, exitFailed, r.code)
		assert.Contains(t, r.stderr, want)
		assert.Equal(t, "-  -  1\n", r.stdout)
	}
}

func TestTailRefuses(t *testing.T) {
	t.Parallel()
	api := startUsers(t).fakeAPI
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no channel":       {nil, exitUsage, "name a channel"},
		"too many":         {[]string{"a", "b", "c"}, exitUsage, "name a channel"},
		"history below 0":  {[]string{"news", "--history", "-1"}, exitUsage, "--history: -1 cannot be used"},
		"too much history": {[]string{"news", "--history", "1001"}, exitUsage, "give a number from 0 to 1000"},
		"empty pod":        {[]string{"news", "--pod", ""}, exitUsage, "--pod: the value is empty"},
		"no history": {[]string{"news", "--history", "1"}, exitFailed,
			"answered 400 Bad Request: history: the channel's rule has no history: leave it out"},
		"no such pod": {[]string{"news", "--pod", "chat-gateway-9"}, exitFailed, "there is no such pod"},
		"bad name":    {[]string{"chat", "a\nb"}, exitFailed, "answered 400 Bad Request: channel: "},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(plugin(t, api, append([]string{"tail"}, c.args...)...))
			assert.Equal(t, c.code, r.code)
			assert.Contains(t, r.stderr, c.want)
			assert.Empty(t, r.stdout)
		})
	}
	api.refuse("secrets/chat-admin")
	r := run(plugin(t, api, "tail", "news"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, `secrets "chat-admin" is forbidden`)
}
