//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/test/wsclient"
)

// plugin runs the plugin by kubectl, as a user does.
type plugin struct{ directory string }

// buildPlugin builds the plugin into a directory of the test.
func buildPlugin(t *testing.T) plugin {
	t.Helper()
	p := plugin{t.TempDir()}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(p.directory, "kubectl-wsc"),
		"../../cmd/wsfleet")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the plugin: %v\n%s", err, out)
	}
	return p
}

// run runs a command of the plugin, and returns what it wrote. It fails when the command does.
func (p plugin) run(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	path := kube.Path
	if path == "" {
		path = "kubectl"
	}
	cmd := exec.CommandContext(t.Context(), path,
		append([]string{"wsc"}, append(args, "-n", namespace, "--kubeconfig", kube.Kubeconfig)...)...)
	cmd.Env = append(os.Environ(), "PATH="+p.directory+string(os.PathListSeparator)+os.Getenv("PATH"))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// succeed is run for a command that must not fail.
func (p plugin) succeed(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	stdout, stderr, err := p.run(t, args...)
	t.Logf("kubectl wsc %s\n%s%s", strings.Join(args, " "), stderr, stdout)
	if err != nil {
		t.Fatalf("kubectl wsc %s: %v: %s", strings.Join(args, " "), err, stderr)
	}
	return stdout
}

// states returns the states of the fleet's gateways by their pods, and the number of connections.
func (p plugin) states(t *testing.T) (states map[string]string, connections int) {
	t.Helper()
	var status struct {
		Connections int
		Gateways    []struct{ Pod, State string }
	}
	if err := json.Unmarshal([]byte(p.succeed(t, "status", clusterName, "-o", "json")), &status); err != nil {
		t.Fatal(err)
	}
	states = map[string]string{}
	for _, g := range status.Gateways {
		states[g.Pod] = g.State
	}
	return states, status.Connections
}

// A user lets a gateway hand its clients over, works on its node, and lets it serve again. The operator keeps its hands
// off a gateway that is drained by hand.
func TestPluginDrainsAGatewayByHand(t *testing.T) {
	before := awaitServing(t, replicas)
	wsc := buildPlugin(t)
	clients := startClients(t, "wsc", wsclient.Plain, 2, 6)
	victim, held := busiest(clients)
	states, connections := wsc.states(t)
	for _, pod := range before {
		if states[pod] != "serving" {
			t.Errorf("%s is %s, want serving", pod, states[pod])
		}
	}
	if connections < 12 {
		t.Errorf("the gateways report %d connections, and the clients hold 12", connections)
	}
	wsc.succeed(t, "status")
	wsc.succeed(t, "explain")

	if out := wsc.succeed(t, "drain", victim, "--reason", "e2e"); !strings.Contains(out, "is drained") {
		t.Errorf("the drain says %q", out)
	}
	closes := closesOf(clients, victim)
	if len(closes) != held {
		t.Errorf("%d closes, want one for each of the %d connections", len(closes), held)
	}
	expectCleanCloses(t, closes, closeCodes[wsclient.Plain])
	if states, _ := wsc.states(t); states[victim] != "drained" {
		t.Errorf("%s is %s, want drained", victim, states[victim])
	}
	eventually(t, time.Minute, "its clients are on the other gateways", func() error {
		for _, p := range clients {
			if open := len(p.open()); open != p.connections || p.nodes()[victim] != 0 {
				return fmt.Errorf("%s: %d of %d open, on %v", p.name, open, p.connections, p.nodes())
			}
		}
		return nil
	})

	wsc.succeed(t, "undrain", victim)
	if after := awaitServing(t, replicas); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v serve, want %v: the gateway was to serve again", after, before)
	}
	if _, stderr, err := wsc.run(t, "drain", "no-such-pod"); err == nil || !strings.Contains(stderr, "no such pod") {
		t.Errorf("the drain of a pod that does not exist ends with %v: %s", err, stderr)
	}
	stopClients(t, "wsc")
}
