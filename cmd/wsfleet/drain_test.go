package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/gateway"
	"github.com/wsfleet/wsfleet/internal/contract"
)

func TestDrainWaitsUntilTheClientsAreGone(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 2)
	going, staying := api.putGateway("chat", "chat-gateway-1"), api.putGateway("chat", "chat-gateway-2")
	connect(t, going.Addr(), 5)

	r := succeed(t, plugin(t, api, "drain", "chat-gateway-1", "--timeout", "4s", "--reason", "kernel upgrade"))
	assert.Contains(t, r.stderr, "connections left (draining: kernel upgrade")
	assert.Contains(t, r.stdout, "chat-gateway-1 is drained: 5 connections were closed one after the other, 0 at once")
	report := going.Report()
	assert.Equal(t, contract.StateDrained, report.State)
	assert.Equal(t, "kernel upgrade", report.Drain.Reason)
	assert.Equal(t, 4*time.Second, report.Drain.Deadline.Sub(report.Drain.StartedAt))
	assert.Equal(t, contract.StateServing, staying.Report().State)

	r = succeed(t, plugin(t, api, "undrain", "chat-gateway-1"))
	assert.Equal(t, "chat-gateway-1 is serving\n", r.stdout)
	assert.Equal(t, contract.StateServing, going.Report().State)
	assert.Equal(t, "chat-gateway-1 is serving\n", succeed(t, plugin(t, api, "undrain", "chat-gateway-1")).stdout)
}

// startBusyFleet returns a fleet of two gateways, of which chat-gateway-1 has five clients.
func startBusyFleet(t *testing.T) (api *fakeAPI, busy *gateway.Gateway) {
	t.Helper()
	api = startAPI(t)
	api.putFleet("chat", 2)
	busy = api.putGateway("chat", "chat-gateway-1")
	api.putGateway("chat", "chat-gateway-2")
	connect(t, busy.Addr(), 5)
	return api, busy
}

// A gateway that a user drains must not serve again by itself 30 s after its deadline, as one that the operator drains
// does when the operator is gone.
func TestDrainByHandIsNotUndoneByItself(t *testing.T) {
	flags := drainFlags{timeout: 90 * time.Second, reason: "by hand"}
	assert.Equal(t, contract.DrainRequest{Reason: "by hand", TimeoutSeconds: 90}, flags.request())
}

func TestDrainNeedNotBeWaitedFor(t *testing.T) {
	t.Parallel()
	api, going := startBusyFleet(t)
	r := succeed(t, plugin(t, api, "drain", "chat-gateway-1", "--timeout", "1h", "--wait=false", "-o", "json"))
	var gateway fleetview.Gateway
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &gateway))
	assert.Equal(t, fleetview.KindGateway, gateway.Kind)
	assert.Equal(t, fleetview.StateDraining, gateway.State)
	assert.Equal(t, "by hand", gateway.Drain.Reason)

	r = succeed(t, plugin(t, api, "drain", "chat-gateway-1", "--timeout", "1s", "--wait=false"))
	assert.Contains(t, r.stderr, "chat-gateway-1 drains already, and goes on as it is")
	assert.Equal(t, time.Hour, going.Report().Drain.Deadline.Sub(going.Report().Drain.StartedAt))
}

func TestInterruptEndsTheWaitingAndNotTheDrain(t *testing.T) {
	t.Parallel()
	api, going := startBusyFleet(t)
	cmd := plugin(t, api, "drain", "chat-gateway-1", "--timeout", "1h")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stderr)
	require.True(t, lines.Scan())
	assert.Contains(t, lines.Text(), " connections left (draining: by hand")
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	_ = cmd.Wait()
	assert.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode())
	assert.Equal(t, "kubectl wsc: stopped waiting; the drain of chat-gateway-1 goes on, "+
		"and `undrain chat-gateway-1` ends it", last)
	assert.Equal(t, contract.StateDraining, going.Report().State)
}

// A drain is over when it is undone meanwhile, or when the pod is deleted.
func TestWaitingForADrainEndsWithTheDrain(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, api *fakeAPI)
		code   int
		want   string
	}{
		"undone": {func(t *testing.T, api *fakeAPI) { succeed(t, plugin(t, api, "undrain", "chat-gateway-1")) }, exitFailed,
			"the drain of chat-gateway-1 was undone: the gateway serves again"},
		"pod deleted": {func(_ *testing.T, api *fakeAPI) { api.remove("pods/chat-gateway-1") }, 0,
			"chat-gateway-1 is ended: its pod was deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, _ := startBusyFleet(t)
			cmd := plugin(t, api, "drain", "chat-gateway-1", "--timeout", "1h")
			var stdout bytes.Buffer
			cmd.Stdout = &stdout
			stderr, err := cmd.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			lines := bufio.NewScanner(stderr)
			require.True(t, lines.Scan(), "the first line of progress")
			c.change(t, api)
			said := ""
			for lines.Scan() {
				said += lines.Text() + "\n"
			}
			_ = cmd.Wait()
			assert.Equal(t, c.code, cmd.ProcessState.ExitCode())
			assert.Contains(t, said+stdout.String(), c.want)
		})
	}
}

func TestDrainAndUndrainRefuseWithoutAChange(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 2)
	last := api.putGateway("chat", "chat-gateway-1")
	api.putPod("chat", "chat-gateway-2").Status.Conditions = nil
	terminating := api.putGateway("chat", "chat-gateway-3")
	deleted := api.putPod("chat", "chat-gateway-3")
	deleted.DeletionTimestamp = new(metav1.NewTime(time.Now().Add(time.Minute)))
	api.put("pods", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "other"}})
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"the last that serves":         {[]string{"drain", "chat-gateway-1"}, "is the last gateway that serves"},
		"no answer":                    {[]string{"drain", "chat-gateway-2", "--force"}, "nothing was changed: it is silent"},
		"no answer to undrain":         {[]string{"undrain", "chat-gateway-2"}, "nothing was changed: it is silent"},
		"being deleted":                {[]string{"drain", "chat-gateway-3", "--force"}, "is being deleted"},
		"undrain of one that goes":     {[]string{"undrain", "chat-gateway-3"}, "which cannot be undone"},
		"no such pod":                  {[]string{"drain", "chat-gateway-9"}, "there is no such pod"},
		"no such pod for undrain":      {[]string{"undrain", "chat-gateway-9"}, "there is no such pod"},
		"a pod of no fleet":            {[]string{"drain", "other"}, "pod other is not a gateway of a fleet"},
		"undrain of a pod of no fleet": {[]string{"undrain", "other"}, "pod other is not a gateway of a fleet"},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(plugin(t, api, c.args...))
			assert.Equal(t, exitFailed, r.code)
			assert.Contains(t, r.stderr, c.want)
			assert.Empty(t, r.stdout)
		})
	}
	assert.Equal(t, contract.StateServing, last.Report().State)
	assert.Equal(t, contract.StateServing, terminating.Report().State)

	succeed(t, plugin(t, api, "drain", "chat-gateway-1", "--force", "--timeout", "1h", "--wait=false"))
	assert.NotNil(t, last.Report().Drain)
}

// A gateway whose process ends cannot serve again, although its pod stays.
func TestUndrainOfAProcessThatEnds(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	ending := api.putGateway("chat", "chat-gateway-1")
	connect(t, ending.Addr(), 5)
	ending.Terminate("SIGTERM", false)
	r := run(plugin(t, api, "undrain", "chat-gateway-1"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "its process is ending")
}

func TestDrainRefusesBadFlags(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no pod":            {[]string{"drain"}, "name one gateway pod"},
		"two pods":          {[]string{"undrain", "a", "b"}, "name one gateway pod"},
		"fraction":          {[]string{"drain", "a", "--timeout", "1500ms"}, "give whole seconds, up to 24h"},
		"too long":          {[]string{"drain", "a", "--timeout", "25h"}, "give whole seconds, up to 24h"},
		"empty reason":      {[]string{"drain", "a", "--reason", ""}, "--reason: give a text"},
		"operator's reason": {[]string{"drain", "a", "--reason", "scale-in"}, "the operator's own drains"},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(plugin(t, api, c.args...))
			assert.Equal(t, exitUsage, r.code)
			assert.Contains(t, r.stderr, c.want)
		})
	}
}

func TestGatewayPodsAreCompleted(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putPod("chat", "chat-gateway-1")
	api.putPod("feed", "feed-gateway-1")
	api.put("pods", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "other"}})
	for _, args := range [][]string{{"drain", ""}, {"undrain", ""}} {
		assert.ElementsMatch(t, []string{"chat-gateway-1", "feed-gateway-1"}, completions(t, api, args...))
	}
}

func TestProgressIsOneLineOfATerminal(t *testing.T) {
	var out bytes.Buffer
	p := progress{out: &out, terminal: true, width: 10}
	p.update("40 connections left")
	p.update("39 left")
	p.clear()
	assert.Equal(t, "\r40 connect\x1b[K\r39 left\x1b[K\r\x1b[K", out.String())

	out.Reset()
	p = progress{out: &out}
	for _, line := range []string{"40 left", "40 left", "39 left"} {
		p.update(line)
	}
	p.clear()
	assert.Equal(t, "40 left\n39 left\n", out.String())
}
