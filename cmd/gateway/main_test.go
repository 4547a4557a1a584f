package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/golden"
)

// asCommand is an environment variable that makes this test binary the gateway, so that signals and exit codes are
// real.
const asCommand = "WSFLEET_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		_ = os.Unsetenv(asCommand)
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// waitTimeout is the maximum time that a test waits for a log line or a close frame.
const waitTimeout = 15 * time.Second

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*waitTimeout)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

// once runs a command until it ends.
func once(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := command(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// process is a running gateway.
type process struct {
	*exec.Cmd
	t             *testing.T
	public, admin string
	log           chan string
}

// run starts a gateway and waits until it has logged its addresses.
func run(t *testing.T, args ...string) *process {
	t.Helper()
	cmd := command(t,
		append([]string{"--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--log-format=json"}, args...)...)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{Cmd: cmd, t: t, log: make(chan string, 1000)}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	go func() {
		defer close(p.log)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			p.log <- lines.Text()
		}
	}()
	var entry struct{ Listen, Admin string }
	require.NoError(t, json.Unmarshal([]byte(p.await("gateway serves")), &entry))
	p.public, p.admin = entry.Listen, entry.Admin
	return p
}

// await reads the log until a line contains part, and returns the line.
func (p *process) await(part string) string {
	p.t.Helper()
	timer := time.NewTimer(waitTimeout)
	defer timer.Stop()
	for {
		select {
		case line, ok := <-p.log:
			if !ok {
				p.t.Fatalf("the gateway ended before it logged %q", part)
			}
			if strings.Contains(line, part) {
				return line
			}
		case <-timer.C:
			p.t.Fatalf("no %q in the log", part)
		}
	}
}

// exit waits until the process has ended and returns its exit code.
func (p *process) exit() int {
	p.t.Helper()
	for range p.log {
	}
	_ = p.Wait()
	return p.ProcessState.ExitCode()
}

func (p *process) dial() *websocket.Conn {
	p.t.Helper()
	c, response, err := websocket.Dial(p.t.Context(), "ws://"+p.public+"/ws?channel=a", nil)
	require.NoError(p.t, err)
	require.Equal(p.t, http.StatusSwitchingProtocols, response.StatusCode)
	p.t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func closeCode(t *testing.T, c *websocket.Conn) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	_, _, err := c.Read(ctx)
	return int(websocket.CloseStatus(err))
}

func TestMainExitsWithTwoForAWrongCommandLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"unknown flag":    {[]string{"--max-conections=1"}, "unknown flag: --max-conections"},
		"wrong value":     {[]string{"--max-connections=many"}, "max-connections"},
		"out of range":    {[]string{"--max-connections=0"}, "max-connections (flag --max-connections): 0 is out of range"},
		"missing file":    {[]string{"--config=/does/not/exist"}, "name a readable file"},
		"unknown command": {[]string{"serve"}, `unknown command "serve"`},
		"unknown format":  {[]string{"config", "-o", "xml"}, "yaml or json"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := once(t, c.args...)
			require.Equal(t, exitUsage, code, stderr)
			require.Contains(t, stderr, c.want)
			require.Empty(t, stdout)
			require.Len(t, strings.Split(strings.TrimSpace(stderr), "\n"), 1, "one line, not the whole help")
		})
	}
}

func TestServeReportsAPortInUse(t *testing.T) {
	t.Parallel()
	p := run(t)
	code, _, stderr := once(t, "--listen="+p.public, "--admin-listen=127.0.0.1:0")
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr, "listen")
	require.Contains(t, stderr, "address already in use")
}

func TestVersionAndConfigPrint(t *testing.T) {
	t.Parallel()
	code, stdout, _ := once(t, "version")
	require.Zero(t, code)
	require.NotEmpty(t, strings.TrimSpace(stdout))

	code, stdout, _ = once(t, "config", "-o", "json", "--redis-password=hunter2")
	require.Zero(t, code)
	var effective map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &effective))
	require.InDelta(t, 10_000, effective["max-connections"], 0)
	require.NotContains(t, stdout, "hunter2")
	code, stdout, _ = once(t, "config")
	require.Zero(t, code)
	require.Contains(t, stdout, "max-connections: 10000\n")
}

// The file is also the reference of all keys for readers of the repository.
func TestHelpIsGolden(t *testing.T) {
	t.Parallel()
	code, stdout, _ := once(t, "--help")
	require.Zero(t, code)
	require.Contains(t, stdout, "--max-connections-per-ip number")
	golden.File(t, "testdata/help.txt", stdout)
}

func TestServeDrainsAtTheFirstSignalAndEndsAtTheSecond(t *testing.T) {
	t.Parallel()
	p := run(t, "--drain-timeout=1h")
	c := p.dial()
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	p.await("drain started")
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 1012, closeCode(t, c), "the client gets a close frame even then")
	require.Equal(t, exitFailed, p.exit())
}

func TestServeEndsAtAnInterruptWithoutConnections(t *testing.T) {
	t.Parallel()
	p := run(t)
	require.NoError(t, p.Process.Signal(os.Interrupt))
	require.Zero(t, p.exit())
}

// Before and during a drain, SIGHUP ends neither the process nor a connection.
func TestServeOutlivesSIGHUP(t *testing.T) {
	t.Parallel()
	p := run(t, "--drain-timeout=1h")
	c := p.dial()
	require.NoError(t, p.Process.Signal(syscall.SIGHUP))
	p.await("nothing to do")
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	p.await("drain started")
	require.NoError(t, p.Process.Signal(syscall.SIGHUP))
	p.await("nothing to do")
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 1012, closeCode(t, c), "the second signal that counts")
	require.Equal(t, exitFailed, p.exit())
}

// The kubelet runs the preStop hook first and sends SIGTERM when the hook has returned.
func TestDrainLeavesTheProcessToTheSignal(t *testing.T) {
	t.Parallel()
	p := run(t, "--drain-timeout=3s", "--drain-propagation-delay=500ms")
	c := p.dial()
	go func() { closeCode(t, c) }()
	code, stdout, stderr := once(t, "drain", "--admin-listen="+p.admin)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "draining: 1 connections left")
	require.Contains(t, stdout, "drained: 1 closed, 0 forced")
	response, err := http.Get("http://" + p.admin + "/livez")
	require.NoError(t, err, "the process must wait for its signal: the kubelet would restart a container that ends")
	_, _ = io.Copy(io.Discard, response.Body)
	require.NoError(t, response.Body.Close())
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.Zero(t, p.exit())
}

func TestDrainSendsTheToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/token", []byte("secret"), 0o600))
	p := run(t, "--admin-token-dir="+dir, "--drain-timeout=0s")
	code, _, stderr := once(t, "drain", "--admin-listen="+p.admin)
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr, "401")
	code, stdout, stderr := once(t, "drain", "--admin-listen="+p.admin, "--admin-token-dir="+dir)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "drained")
}

func TestDrainFailsWithoutAGateway(t *testing.T) {
	t.Parallel()
	code, _, stderr := once(t, "drain", "--admin-listen=127.0.0.1:1")
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr, "ask the gateway")
}

func TestLogLevelChangesARunningGateway(t *testing.T) {
	t.Parallel()
	p := run(t)
	code, stdout, stderr := once(t, "log-level", "--admin-listen="+p.admin)
	require.Zero(t, code, stderr)
	require.Equal(t, "info\n", stdout)
	code, stdout, stderr = once(t, "log-level", "debug", "--admin-listen="+p.admin)
	require.Zero(t, code, stderr)
	require.Equal(t, "debug\n", stdout)
	p.await("log level changed")
	// The gateway logs the end of a connection at the debug level only.
	require.NoError(t, p.dial().CloseNow())
	p.await(`"level":"DEBUG"`)

	code, _, stderr = once(t, "log-level", "loud", "--admin-listen="+p.admin)
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, "debug, info, warn, error")
}
