package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/channel"
	"github.com/wsfleet/wsfleet/internal/load"
	"github.com/wsfleet/wsfleet/internal/reconnect"
)

// asCommand is the environment variable that makes this test binary run as the command, so that processes, signals and
// exit codes are real. The worker processes inherit it.
const asCommand = "WSFLEET_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const testTimeout = 30 * time.Second

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

// runCommand runs a command until it exits.
func runCommand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := command(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func startGateway(t *testing.T) string {
	t.Helper()
	cfg := config.Default()
	cfg.Channels = []channel.Rule{{
		Pattern:  "*",
		History:  channel.History{Size: 100, TTL: channel.Duration(time.Minute)},
		Recovery: true,
	}}
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

func TestCommandRefusesBadCommandLines(t *testing.T) {
	const url = "ws://127.0.0.1:1"
	for want, args := range map[string][]string{
		`unknown command "lod"`:                   {"lod"},
		"give a scenario and a URL":               {"load", "fanout"},
		`unknown scenario "nap"`:                  {"load", "nap", url},
		"unknown flag: --cients":                  {"load", "idle", url, "--cients", "3"},
		`invalid argument "many" for "--clients"`: {"load", "idle", url, "--clients", "many"},
		"--clients: 0 clients":                    {"load", "idle", url, "--clients", "0"},
		"--recover: only storm needs it":          {"load", "fanout", url, "--recover"},
		`--output: unknown format "yaml"`:         {"load", "idle", url, "--output", "yaml"},
		"--output-file: open " + os.TempDir() + "/no/such": {"load", "idle", url, "--output-file",
			os.TempDir() + "/no/such/file"},
		`--header: "X-Name" names no value`:                    {"load", "idle", url, "--header", "X-Name"},
		`--reconnect: unknown layer "stomp": use centrifuge, `: {"load", "live", url, "--reconnect", "stomp"},
		`--group: "stompjs": give a number and a layer`:        {"load", "live", url, "--group", "stompjs"},
		`--layer: "mine=dely:1s": unknown setting "dely"`:      {"load", "live", url, "--layer", "mine=dely:1s"},
		"--layer: only the clients of live":                    {"load", "idle", url, "--layer", "mine=delay:1s"},
		"--group: only live has groups: leave it out":          {"load", "idle", url, "--group", "1:stompjs"},
		"--events: open " + os.TempDir() + "/no/such": {"load", "live", url, "--events",
			os.TempDir() + "/no/such/file"},
		`--sources: "x" is no address`:      {"load", "idle", url, "--sources", "x"},
		"--server-pid: there is no process": {"load", "idle", url, "--server-pid", "999999999"},
	} {
		code, stdout, stderr := runCommand(t, args...)
		require.Equal(t, exitUsage, code, want)
		require.Empty(t, stdout, want)
		require.Contains(t, stderr, want)
	}
}

func TestCommandLoadWritesResultOfFailedRun(t *testing.T) {
	code, stdout, stderr := runCommand(t, "load", "idle", "ws://127.0.0.1:1", "--clients", "3", "--output", "json",
		"--quiet")
	require.Equal(t, exitFailed, code)
	require.Empty(t, stderr, "the result says what failed")
	var r load.Result
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	require.Equal(t, int64(3), r.Connect.Failed)
	require.NotEmpty(t, r.Failures)
}

func TestCommandLoadOutput(t *testing.T) {
	url := startGateway(t)
	for format, want := range map[string]string{"text": "0 lost", "json": `"lost": 0`, "html": "<svg"} {
		file := filepath.Join(t.TempDir(), "result")
		code, stdout, stderr := runCommand(t, "load", "fanout", url, "--clients", "5", "--processes", "2", "--window", "2",
			"--warmup", "0s", "--duration", "1100ms", "--output", format, "--output-file", file)
		require.Zero(t, code, stderr)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "run: 6 connected", "a line of progress")
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(content), want)
	}
}

func TestCommandLoadStopsOnInterrupt(t *testing.T) {
	for _, processes := range []string{"1", "2"} {
		cmd := command(t, "load", "fanout", startGateway(t), "--clients", "5", "--processes", processes, "--duration", "1h",
			"--warmup", "0s", "--output", "json")
		// Ctrl-C on a terminal signals the whole process group.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		var out bytes.Buffer
		cmd.Stdout = &out
		progress, err := cmd.StderrPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		first := make([]byte, 1000)
		n, err := progress.Read(first)
		require.NoError(t, err)
		require.Contains(t, string(first[:n]), "connected")
		require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
		require.NoError(t, cmd.Wait(), "exit code 0")
		var r load.Result
		require.NoError(t, json.Unmarshal(out.Bytes(), &r))
		require.True(t, r.Interrupted)
		require.Positive(t, r.Delivery.Received)
		require.Zero(t, r.Delivery.Lost)
	}
}

func TestCommandLoadLiveMarksEvents(t *testing.T) {
	events := filepath.Join(t.TempDir(), "events")
	cmd := command(t, "load", "live", startGateway(t), "--clients", "4", "--group", "2:mine:plain", "--layer",
		"mine=delay:1s", "--duration", "0", "--events", events, "--output", "json")
	var out bytes.Buffer
	cmd.Stdout = &out
	progress, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(progress)
	for lines.Scan() && !strings.Contains(lines.Text(), "live: 7 connected") {
	}
	file, err := os.OpenFile(events, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err, "the command has created it")
	_, err = file.WriteString("rollout\n")
	require.NoError(t, err)
	require.NoError(t, file.Close())
	for range 2 {
		// The line of progress after the next one is of a time at which the event has been read.
		require.True(t, lines.Scan())
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	_, _ = io.Copy(io.Discard, progress)
	require.NoError(t, cmd.Wait(), "exit code 0")
	var r load.Result
	require.NoError(t, json.Unmarshal(out.Bytes(), &r))
	require.Len(t, r.Live.Events, 2)
	require.Equal(t, "rollout", r.Live.Events[1].Label)
	require.Equal(t, "mine", r.Live.Groups[1].Layer)
	require.Equal(t, load.Plain, r.Live.Groups[1].Protocol)
	require.Zero(t, r.Live.Total.Lost)
}

func TestCommandCompletesLayers(t *testing.T) {
	_, stdout, _ := runCommand(t, "__complete", "load", "live", "ws://127.0.0.1:1", "--reconnect", "")
	_, groups, _ := runCommand(t, "__complete", "load", "live", "ws://127.0.0.1:1", "--group", "20:")
	for _, name := range reconnect.Names() {
		require.Contains(t, stdout, name+"\n")
		require.Contains(t, groups, "20:"+name+"\n20:"+name+":plain\n")
	}
}

func TestCommandVersionAndCompletion(t *testing.T) {
	code, stdout, _ := runCommand(t, "version")
	require.Zero(t, code)
	require.NotEmpty(t, strings.TrimSpace(stdout))
	_, stdout, _ = runCommand(t, "__complete", "load", "")
	for _, s := range load.Scenarios() {
		require.Contains(t, stdout, s[0]+"\t")
	}
	_, stdout, _ = runCommand(t, "load", "--help")
	require.NotContains(t, stdout, workerCommand)
	require.Contains(t, stdout, "--max-p99 latency")
}
