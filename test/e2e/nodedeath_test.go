//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/test/e2e/event"
)

// The environment variables with the commands that kill a node and start it again. The name of the node is the argument
// that follows. They are empty where the cluster offers no such command.
const (
	killNodeVariable  = "E2E_KILL_NODE_COMMAND"
	startNodeVariable = "E2E_START_NODE_COMMAND"
)

// A node dies: its kubelet and its gateways are killed, and its network stays up. The subscribers of its gateways see a
// reset, come back on the others and miss nothing. The dead gateways do not keep the fleet from shrinking, and it is
// whole again when the node is back.
func TestNodeDies(t *testing.T) {
	if os.Getenv(killNodeVariable) == "" || os.Getenv(startNodeVariable) == "" {
		lacksNodes(t, fmt.Sprintf("the cluster has no command that kills a node: %s and %s are not set",
			killNodeVariable, startNodeVariable))
	}
	node := spareNode(t)
	keepOff(t, node)
	dead := spreadOver(t, node)
	living := replicas - len(dead)
	clients, held := subscribersOff(t, node, "dies")
	survivors := slices.DeleteFunc(servingPods(t), func(pod string) bool { return slices.Contains(dead, pod) })
	t.Logf("node %s has %v with %d connections; %v are elsewhere", node, dead, held, survivors)

	var killed time.Time
	publishWhile(t, clients, func() {
		killed = time.Now()
		runCommandOf(t, killNodeVariable, node)
		t.Cleanup(func() { runCommandOf(t, startNodeVariable, node) })
		awaitBack(t, clients, held)
		t.Logf("all are back %s after the kill", time.Since(killed).Round(100*time.Millisecond))
		runWith(t, anyNamespace, "wait", "--for=condition=Ready=Unknown", "--timeout=60s", "node/"+node)
		awaitReady(t, living, replicas)
		t.Logf("%s after the kill the fleet says:\n%s", time.Since(killed).Round(100*time.Millisecond),
			run(t, "get", "wsc", clusterName, "-o", "jsonpath={range .status.conditions[*]}{.type} {.status} {.reason}: "+
				`{.message}{"\n"}{end}`))

		run(t, "scale", "websocketcluster", clusterName, fmt.Sprintf("--replicas=%d", living))
		if serving := awaitServing(t, living); !slices.Equal(serving, survivors) {
			t.Errorf("%v serve after the scale-in, want %v: the dead gateways were to go first", serving, survivors)
		}
		t.Logf("%s after the kill the fleet has shrunk to what is left", time.Since(killed).Round(100*time.Millisecond))

		runCommandOf(t, startNodeVariable, node)
		awaitUsable(t, node)
		awaitDeleted(t, dead)
		run(t, "scale", "websocketcluster", clusterName, fmt.Sprintf("--replicas=%d", replicas))
		awaitServing(t, replicas)
		t.Logf("%s after the kill the fleet is whole; on %s are %v", time.Since(killed).Round(100*time.Millisecond), node,
			gatewaysOn(t, node))
	})
	closes := closesOf(clients, "")
	if len(closes) != held {
		t.Errorf("%d connections have ended, want the %d on the dead node: %v", len(closes), held, closes)
	}
	expectResets(t, closes, killed)
	logAway(t, clients)
	stopSubscribers(t, clients)
}

// transportClosed is the code with which the SDK reports a connection that ended without a close frame.
const transportClosed = 1

// expectResets fails the test unless connections ended without a close frame, and before the clients missed a ping.
func expectResets(t *testing.T, closes []event.Event, killed time.Time) {
	t.Helper()
	for _, e := range closes {
		if after := e.At.Sub(killed); e.Code != transportClosed || after > 5*time.Second {
			t.Errorf("a connection ended %s after the kill with %d %q, want a reset at once", after, e.Code, e.Reason)
		}
	}
}

// awaitReady waits until the fleet's status counts a number of gateways as ready.
func awaitReady(t *testing.T, ready, size int) {
	t.Helper()
	run(t, "wait", fmt.Sprintf("--for=jsonpath={.status.ready}=%d/%d", ready, size), "--timeout=60s", "wsc/"+clusterName)
}

// awaitUsable waits until a node that has started again takes pods: it is ready, and has no taint any more.
func awaitUsable(t *testing.T, node string) {
	t.Helper()
	runWith(t, anyNamespace, "wait", "--for=condition=Ready", "--timeout=60s", "node/"+node)
	eventually(t, time.Minute, "node "+node+" takes pods", func() error {
		if taints := runWith(t, anyNamespace, "get", "node", node, "-o", "jsonpath={.spec.taints}"); taints != "" {
			return fmt.Errorf("it has the taints %s", taints)
		}
		return nil
	})
}
