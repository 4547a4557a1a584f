//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/test/e2e/event"
	"github.com/wsfleet/wsfleet/test/kubectl"
)

// nodesVariable is the environment variable with the number of nodes of a cluster that was made for the tests of nodes.
// It is empty elsewhere.
const nodesVariable = "E2E_NODES"

// anyNamespace is kubectl for objects that have no namespace, and for commands on several.
var anyNamespace = kube.In("")

// lacksNodes ends a test of nodes on a cluster that lacks what the test needs. The test is skipped on a cluster that a
// user brings, and fails on one that was made for it.
func lacksNodes(t *testing.T, missing string) {
	t.Helper()
	if nodes := os.Getenv(nodesVariable); nodes != "" {
		t.Fatalf("%s, and %s=%s promises it", missing, nodesVariable, nodes)
	}
	t.Skipf("%s; `make e2e-nodes` has it", missing)
}

// spareNode returns a node that the tests may take away, and on which pods can run besides another one. A
// cluster that has none lacks nodes.
func spareNode(t *testing.T) string {
	t.Helper()
	if promised, _ := strconv.Atoi(os.Getenv(nodesVariable)); promised > 0 {
		// A node that was cordoned keeps its taint for a moment.
		eventually(t, 30*time.Second, "all nodes take pods", func() error {
			if names := openNodes(t); len(names) < promised {
				return fmt.Errorf("only %v do", names)
			}
			return nil
		})
	}
	names := openNodes(t)
	control := strings.Fields(runWith(t, anyNamespace, "get", "nodes", "-l", "node-role.kubernetes.io/control-plane",
		"-o", "jsonpath={.items[*].metadata.name}"))
	spare := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(control, name) })
	if len(names) < 2 || len(spare) == 0 {
		lacksNodes(t, fmt.Sprintf("pods can run on the nodes %v, and %v have the control plane: the test needs two nodes "+
			"for pods, one of them without control plane", names, control))
	}
	return spare[0]
}

// openNodes returns the nodes that take any pod.
func openNodes(t *testing.T) (names []string) {
	t.Helper()
	const taints = `jsonpath={range .items[*]}{.metadata.name} {.spec.taints} {"\n"}{end}`
	for line := range strings.Lines(runWith(t, anyNamespace, "get", "nodes", "-o", taints)) {
		if fields := strings.Fields(line); len(fields) == 1 {
			names = append(names, fields[0])
		}
	}
	return names
}

// gatewaysOn returns the pods of the gateways on a node.
func gatewaysOn(t *testing.T, node string) []string {
	t.Helper()
	return strings.Fields(run(t, "get", "pods", "-l", selector, "--field-selector", "spec.nodeName="+node,
		"-o", "jsonpath={.items[*].metadata.name}"))
}

// spreadOver makes sure that gateways run on a node and on others, and returns those on the node. The scheduler spreads
// them only where it can, so one gateway is moved when all are in one place.
func spreadOver(t *testing.T, node string) []string {
	t.Helper()
	serving := awaitServing(t, replicas)
	switch pods := gatewaysOn(t, node); len(pods) {
	case 0:
		others := slices.DeleteFunc(openNodes(t), func(name string) bool { return name == node })
		moveOff(t, serving[0], others)
	case replicas:
		moveOff(t, serving[0], []string{node})
	default:
		return pods
	}
	return gatewaysOn(t, node)
}

// moveOff replaces a gateway by one that is on none of the nodes.
func moveOff(t *testing.T, pod string, nodes []string) {
	t.Helper()
	runWith(t, anyNamespace, append([]string{"cordon"}, nodes...)...)
	defer runWith(t, anyNamespace, append([]string{"uncordon"}, nodes...)...)
	run(t, "delete", "pod", pod, "--wait=false")
	awaitReplaced(t, []string{pod})
}

// keepOff moves what the tests rely on from a node to others: Redis, whose data would be lost, the operator, and DNS.
func keepOff(t *testing.T, node string) {
	t.Helper()
	runWith(t, anyNamespace, "cordon", node)
	defer runWith(t, anyNamespace, "uncordon", node)
	for _, moved := range []struct {
		kube        kubectl.Kubectl
		selector    string
		deployments []string
	}{
		{kube, "app.kubernetes.io/component=redis", []string{clusterName + "-redis"}},
		{kube.In("wsfleet-system"), "", []string{"wsfleet-operator", "wsfleet-metrics-api"}},
		{kube.In("kube-system"), "k8s-app=kube-dns", []string{"coredns"}},
	} {
		runWith(t, moved.kube, "delete", "pods", "-l", moved.selector, "--field-selector", "spec.nodeName="+node)
		for _, deployment := range moved.deployments {
			runWith(t, moved.kube, "rollout", "status", "deployment/"+deployment, "--timeout=120s")
		}
	}
	awaitBackplane(t)
}

// subscribersOff runs pods with subscribers that are not on a node and have connections to a gateway on it.
func subscribersOff(t *testing.T, node, prefix string) (clients []clientPod, held int) {
	t.Helper()
	runWith(t, anyNamespace, "cordon", node)
	defer runWith(t, anyNamespace, "uncordon", node)
	wsc := buildPlugin(t)
	// A Service sends each address to any gateway.
	for len(clients) < 24 {
		clients = append(clients, startSubscribers(t, fmt.Sprintf("%s-%d", prefix, len(clients)), 6)...)
		eventually(t, time.Minute, "the gateways count the subscribers", func() error {
			byNode, total := wsc.connectionsByNode(t), 0
			for _, connections := range byNode {
				total += connections
			}
			if want := len(clients) * subscribersEach; total != want {
				return fmt.Errorf("there are %d, and they count %v", want, byNode)
			}
			held = byNode[node]
			return nil
		})
		if held > 0 {
			return clients, held
		}
	}
	t.Fatalf("none of %d pods has come to a gateway on %s", len(clients), node)
	return nil, 0
}

// stopSubscribers stops what subscribersOff has started.
func stopSubscribers(t *testing.T, clients []clientPod) {
	t.Helper()
	args := []string{"delete", "pod", "--timeout=60s"}
	for _, c := range clients {
		args = append(args, c.name)
	}
	run(t, args...)
}

// connectionsByNode returns the number of connections of the gateways on each node.
func (p plugin) connectionsByNode(t *testing.T) map[string]int {
	t.Helper()
	var status struct {
		Gateways []struct {
			Node        string
			Connections int
		}
	}
	out, stderr, err := p.run(t, "status", clusterName, "-o", "json")
	if err != nil {
		t.Fatalf("kubectl wsc status: %v: %s", err, stderr)
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		t.Fatal(err)
	}
	connections := map[string]int{}
	for _, g := range status.Gateways {
		connections[g.Node] += g.Connections
	}
	return connections
}

// awaitBack waits until so many connections have ended, and all subscribers are connected.
func awaitBack(t *testing.T, clients []clientPod, closes int) {
	t.Helper()
	eventually(t, time.Minute, "all subscribers are back", func() error {
		closed := 0
		for _, c := range clients {
			if open := len(c.open()); open != c.connections {
				return fmt.Errorf("%s: %d of %d are open", c.name, open, c.connections)
			}
			closed += len(c.closes())
		}
		if closed < closes {
			return fmt.Errorf("%d of %d connections have ended", closed, closes)
		}
		return nil
	})
}

// logAway logs for how long the subscribers were away that came back.
func logAway(t *testing.T, clients []clientPod) {
	t.Helper()
	var away []time.Duration
	for _, c := range clients {
		left := map[int]time.Time{}
		for _, e := range c.events() {
			switch e.Kind {
			case event.Closed:
				left[e.Client] = e.At
			case event.Opened:
				if at, ok := left[e.Client]; ok {
					away = append(away, e.At.Sub(at))
					delete(left, e.Client)
				}
			case event.Failed, event.Message:
			}
		}
	}
	if len(away) == 0 {
		t.Error("no subscriber was away")
		return
	}
	slices.Sort(away)
	at := func(percent int) time.Duration {
		return away[min(len(away)-1, len(away)*percent/100)].Round(time.Millisecond)
	}
	t.Logf("%d were away: half of them %s or less, 99 %% %s, the longest %s", len(away), at(50), at(99), at(100))
}
