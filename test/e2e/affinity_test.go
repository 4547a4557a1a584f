//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/test/e2e/event"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

// proxyModeVariable is the environment variable with the command that changes the mode of kube-proxy. The mode is the
// argument that follows. It is empty where the cluster has only one mode.
const proxyModeVariable = "E2E_PROXY_MODE_COMMAND"

// The Service's affinity is kube-proxy's work, and each of its modes does it in another way.
func TestServiceAffinity(t *testing.T) {
	modes := []string{"mode of the cluster"}
	if os.Getenv(proxyModeVariable) != "" {
		modes = []string{"nftables", "iptables"}
	}
	awaitServing(t, replicas)
	clients := startClients(t, "affinity", wsclient.Plain, 8, 0)
	run(t, "wait", "--for=condition=Ready", "--timeout=60s", "pods", "-l", "e2e=affinity")
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			setProxyMode(t, mode)
			t.Run("a client comes back to its gateway", func(t *testing.T) {
				inParallel(clients[:3], func(client clientPod) { client.in(t).expectAllOn("", 8, 0) })
			})
			t.Run("a client whose gateway goes away stays at another one", func(t *testing.T) {
				testAffinityFollowsReadiness(t, clients[0].in(t))
			})
			t.Run("counts from the last new connection", func(t *testing.T) {
				testAffinityTimeout(t, clients)
			})
		})
	}
	stopClients(t, "affinity")
}

// testAffinityFollowsReadiness takes the client's gateway away twice: one that is no longer ready, and one that is
// deleted.
func testAffinityFollowsReadiness(t *testing.T, client clientPod) {
	t.Helper()
	awaitServing(t, replicas)
	drained := client.expectAllOn("", 1, 0)
	ctx, cancel := context.WithCancel(t.Context())
	var drain sync.WaitGroup
	drain.Go(func() { _, _ = kube.Run(ctx, "exec", drained, "--", contract.Binary, "drain", "--reason=e2e") })
	deleted := client.awaitOtherThan(drained)
	client.expectAllOn(deleted, 8, 0)
	run(t, "delete", "pod", deleted, "--wait=false")
	client.expectAllOn(client.awaitOtherThan(deleted), 8, 0)
	cancel()
	drain.Wait()
	run(t, "delete", "pod", drained, "--wait=false")
	awaitServing(t, replicas)
}

// testAffinityTimeout shows what timeoutSeconds of a Service counts. A client that connects again and again stays, for
// longer than the timeout. A client whose connection was open for longer, with traffic on it, may go anywhere.
func testAffinityTimeout(t *testing.T, clients []clientPod) {
	t.Helper()
	const timeout = 5 * time.Second
	setAffinityTimeout(t, fmt.Sprint(timeout.Seconds()))
	defer setAffinityTimeout(t, "null")
	eventually(t, time.Minute, "some clients with long connections change their gateway", func() error {
		var mu sync.Mutex
		moved := 0
		inParallel(clients, func(client clientPod) {
			gateways, err := client.visit(2, timeout+2*time.Second)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && gateways[0] != gateways[1] {
				moved++
			}
		})
		if moved == 0 {
			return fmt.Errorf("all %d are on their gateways", len(clients))
		}
		t.Logf("%d of %d changed their gateway", moved, len(clients))
		return nil
	})
	clients[0].in(t).expectAllOn("", 6, 2*time.Second)
}

// setAffinityTimeout sets the field of the fleet, in JSON, and waits until the Service has the value.
func setAffinityTimeout(t *testing.T, seconds string) {
	t.Helper()
	const path = "jsonpath={.spec.sessionAffinityConfig.clientIP.timeoutSeconds}"
	before := run(t, "get", "service", serviceName, "-o", path)
	run(t, "patch", "wsc", clusterName, "--type=merge", "-p",
		`{"spec":{"service":{"clientIPTimeoutSeconds":`+seconds+`}}}`)
	eventually(t, 30*time.Second, "the Service has the other timeout", func() error {
		if now := run(t, "get", "service", serviceName, "-o", path); now == before {
			return fmt.Errorf("it still has %s", now)
		}
		return nil
	})
}

// setProxyMode changes the mode of kube-proxy where the cluster offers that.
func setProxyMode(t *testing.T, mode string) {
	t.Helper()
	if os.Getenv(proxyModeVariable) != "" {
		runCommandOf(t, proxyModeVariable, mode)
	}
}

// runCommandOf runs the command that an environment variable has, at the top of the repository, with one argument more.
func runCommandOf(t *testing.T, variable, argument string) {
	t.Helper()
	command := strings.Fields(os.Getenv(variable))
	// It also cleans up, when the test's own context has ended.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), command[0], append(command[1:], argument)...)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// inParallel calls act for all clients at once, and waits.
func inParallel(clients []clientPod, act func(clientPod)) {
	var all sync.WaitGroup
	for _, client := range clients {
		all.Go(func() { act(client) })
	}
	all.Wait()
}

// in returns the same client for a subtest.
func (p clientPod) in(t *testing.T) clientPod {
	p.t = t
	return p
}

// visit opens connections from the client's address, one after the other, holds each for a time, and returns their
// gateways. It returns an error when one cannot be opened or ends before.
func (p clientPod) visit(times int, hold time.Duration) ([]string, error) {
	out, err := kube.Run(p.t.Context(), "exec", p.name, "--", "/wsfleet-e2e-client", "-address="+serviceName+":80",
		fmt.Sprintf("-visits=%d", times), "-hold="+hold.String())
	if err != nil {
		return nil, err
	}
	var gateways []string
	for _, e := range event.Parse(out) {
		if e.Kind == event.Opened {
			gateways = append(gateways, e.Node)
		}
	}
	if len(gateways) != times {
		return nil, fmt.Errorf("%d connections were opened, expected %d: %s", len(gateways), times, out)
	}
	return gateways, nil
}

// expectAllOn asserts that so many connections, each held for a time, go to the gateway, or all to one when gateway is
// empty. It returns that gateway.
func (p clientPod) expectAllOn(gateway string, times int, hold time.Duration) string {
	p.t.Helper()
	gateways, err := p.visit(times, hold)
	if err != nil {
		p.t.Errorf("%s: %v", p.name, err)
		return gateway
	}
	want := cmp.Or(gateway, gateways[0])
	for _, got := range gateways {
		if got != want {
			p.t.Errorf("%s was sent to %v, expected %s each time", p.name, gateways, want)
			break
		}
	}
	return want
}

// awaitOtherThan connects until the client is sent to another gateway, and returns that.
func (p clientPod) awaitOtherThan(gateway string) string {
	p.t.Helper()
	var other string
	eventually(p.t, 30*time.Second, "a connection to another gateway than "+gateway, func() error {
		gateways, err := p.visit(1, 0)
		if err != nil {
			return err
		}
		if other = gateways[0]; other == gateway {
			return fmt.Errorf("%s is still on it", p.name)
		}
		return nil
	})
	return other
}
