package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wsfleet/wsfleet/internal/load"
	"github.com/wsfleet/wsfleet/test/kubectl"
)

const (
	namespace = "fleet-test"
	fleet     = "fleet"
	gateways  = 5
)

// The programs, relative to the repository.
const (
	localcluster = "bin/localcluster"
	wsfleet      = "bin/wsfleet"
)

// Clients come from many addresses of the first node, because the fleet's Service keeps an address at a gateway.
const sourceAddresses = 150

var firstSource = netip.MustParseAddr("172.31.0.50")

// cluster is the local cluster with the fleet.
type cluster struct {
	name, kubeconfig string
	kube             kubectl.Kubectl
	// url is the address of the fleet's Service.
	url string
}

func newCluster(ctx context.Context, name string) (*cluster, error) {
	out, err := exec.CommandContext(ctx, localcluster, "kubeconfig", "--path", "--name", name).Output()
	if err != nil {
		return nil, fmt.Errorf("the local cluster %s: %w: bring it up with hack/fleettest.sh", name, err)
	}
	kubeconfig := strings.TrimSpace(string(out))
	return &cluster{
		name: name, kubeconfig: kubeconfig,
		kube: kubectl.Kubectl{Path: "bin/k8s/kubectl", Kubeconfig: kubeconfig, Namespace: namespace},
	}, nil
}

// firstNode has the control plane, Redis and the operator; otherNode is the one that is drained and killed.
func (c *cluster) firstNode() string { return c.name }
func (c *cluster) otherNode() string { return c.name + "-2" }

// manifest returns the fleet. Drains take the 4 s that kube-proxy may take to see that a gateway is not ready.
func (c *cluster) manifest() string {
	return `
apiVersion: v1
kind: Namespace
metadata:
  name: ` + namespace + `
---
apiVersion: wsfleet.dev/v1alpha1
kind: WebSocketCluster
metadata:
  name: ` + fleet + `
spec:
  replicas: ` + strconv.Itoa(gateways) + `
  gateway:
    connectRate: 0
    channels:
    - pattern: "kept:*"
      history: {size: 10000, ttl: 1h}
      recovery: true
  redis:
    managed:
      placement: {nodeSelector: {kubernetes.io/hostname: ` + c.firstNode() + `}}
  drain: {timeout: 60s, propagationDelay: 4s}
  rollout: {minReadySeconds: 2}
  rebalance: {enabled: true, maxShedPerMinute: 6000}
`
}

// prepare applies the fleet, keeps all that is not a gateway on the first node, and gives that node the addresses of
// the clients.
func (c *cluster) prepare(ctx context.Context) error {
	_, err := c.kube.In("").Run(ctx, "delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s")
	if err != nil {
		return err
	}
	keep := fmt.Sprintf(`{"spec":{"template":{"spec":{"nodeSelector":{"kubernetes.io/hostname":%q}}}}}`, c.firstNode())
	for _, d := range []struct{ namespace, name string }{
		{"kube-system", "coredns"}, {"wsfleet-system", "wsfleet-operator"}, {"wsfleet-system", "wsfleet-metrics-api"},
	} {
		in := c.kube.In(d.namespace)
		if _, err := in.Run(ctx, "patch", "deployment", d.name, "-p", keep); err != nil {
			return err
		}
		if _, err := in.Run(ctx, "rollout", "status", "deployment/"+d.name, "--timeout=120s"); err != nil {
			return err
		}
	}
	if _, err := c.kube.Apply(ctx, c.manifest()); err != nil {
		return err
	}
	if err := c.addSources(ctx); err != nil {
		return err
	}
	if _, err := c.kube.Run(ctx, "wait", "--for=condition=Ready", "--timeout=180s", "wsc/"+fleet); err != nil {
		return err
	}
	ip, err := c.kube.Run(ctx, "get", "service", fleet+"-gateway", "-o",
		"jsonpath={.spec.clusterIP}:{.spec.ports[0].port}")
	c.url = "ws://" + ip
	return err
}

// netns returns the name of the network namespace of the first node.
func (c *cluster) netns() string { return "wsfleet-" + c.name }

// addSources gives the first node the addresses that clients come from.
func (c *cluster) addSources(ctx context.Context) error {
	var batch strings.Builder
	for address, n := firstSource, 0; n < sourceAddresses; address, n = address.Next(), n+1 {
		fmt.Fprintf(&batch, "address replace %s/32 dev node0\n", address)
	}
	cmd := exec.CommandContext(ctx, "ip", "-n", c.netns(), "-batch", "-")
	cmd.Stdin = strings.NewReader(batch.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("add the addresses of clients: %w: %s", err, out)
	}
	return nil
}

// loadCommand returns a command of `wsfleet load` on the first node.
func (c *cluster) loadCommand(ctx context.Context, scenario load.Scenario, args ...string) *exec.Cmd {
	last := firstSource
	for range sourceAddresses - 1 {
		last = last.Next()
	}
	args = append([]string{
		"netns", "exec", c.netns(), wsfleet, "load", string(scenario), c.url, "--quiet", "--output", "json",
		"--sources", firstSource.String() + "-" + last.String(),
	}, args...)
	cmd := exec.CommandContext(ctx, "ip", args...)
	cmd.Stderr = os.Stderr
	return cmd
}

// measureAccepts returns how many clients the fleet accepts in a second.
func (c *cluster) measureAccepts(ctx context.Context, clients int) (float64, error) {
	out, err := c.loadCommand(ctx, load.Idle, "--clients", strconv.Itoa(clients), "--hold", "1s").Output()
	if err != nil {
		return 0, fmt.Errorf("measure the accept rate: %w: %s", err, out)
	}
	var r load.Result
	if err := json.Unmarshal(out, &r); err != nil {
		return 0, fmt.Errorf("measure the accept rate: %w", err)
	}
	return r.Connect.PerSecond, nil
}

// patch changes the fleet's spec.
func (c *cluster) patch(ctx context.Context, spec string) error {
	_, err := c.kube.Run(ctx, "patch", "wsc", fleet, "--type=merge", "-p", `{"spec":`+spec+`}`)
	return err
}

func (c *cluster) setBudget(ctx context.Context, perSecond int) error {
	return c.patch(ctx, fmt.Sprintf(`{"rollout":{"maxReconnectsPerSecond":%d}}`, perSecond))
}

func (c *cluster) scale(ctx context.Context, replicas int) error {
	_, err := c.kube.Run(ctx, "scale", "wsc", fleet, "--replicas="+strconv.Itoa(replicas))
	return err
}

// killPod kills the processes of a pod with SIGKILL, as the kernel does when memory is short. Its container starts
// again.
func (c *cluster) killPod(ctx context.Context, pod string) error {
	uid, err := c.kube.Run(ctx, "get", "pod", pod, "-o", "jsonpath={.metadata.uid}")
	if err != nil {
		return err
	}
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return err
	}
	killed := 0
	for _, group := range groups {
		text, err := os.ReadFile(group)
		if err != nil || !strings.Contains(string(text), uid) {
			continue
		}
		process := filepath.Dir(group)
		name, err := os.ReadFile(filepath.Join(process, "comm"))
		// The pause container keeps the pod's network, as it does when the kernel kills.
		if err != nil || strings.TrimSpace(string(name)) == "pause" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(process))
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err != nil {
			return err
		}
		killed++
	}
	if killed == 0 {
		return errors.New("no process of pod " + pod + " runs on this machine")
	}
	return nil
}

// killOperator deletes the operator's pod without a grace period after a time, and waits until another one is ready.
func (c *cluster) killOperator(ctx context.Context, after time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(after):
	}
	in := c.kube.In("wsfleet-system")
	_, err := in.Run(ctx, "delete", "pods", "-l", "app.kubernetes.io/component=operator", "--grace-period=0", "--force")
	if err != nil {
		return err
	}
	_, err = in.Run(ctx, "rollout", "status", "deployment/wsfleet-operator", "--timeout=120s")
	return err
}

// node runs a command of localcluster on the node that is not the first.
func (c *cluster) node(ctx context.Context, command string) error {
	out, err := exec.CommandContext(ctx, localcluster, command, "--name", c.name, c.otherNode()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("localcluster %s: %w: %s", command, err, out)
	}
	return nil
}

// drainNode drains the other node, as before its upgrade.
func (c *cluster) drainNode(ctx context.Context) error {
	_, err := c.kube.In("").Run(ctx, "drain", c.otherNode(), "--ignore-daemonsets", "--delete-emptydir-data",
		"--timeout=300s")
	return err
}

func (c *cluster) uncordon(ctx context.Context) error {
	_, err := c.kube.In("").Run(ctx, "uncordon", c.otherNode())
	return err
}
