//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/test/e2e/event"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

// clientPod is a pod whose connections all come from one address: its own.
type clientPod struct {
	t           *testing.T
	name        string
	connections int
}

// startClients runs pods that connect through the fleet's Service, as clients in a cluster do.
func startClients(t *testing.T, prefix string, protocol wsclient.Protocol, pods, connections int) []clientPod {
	t.Helper()
	channel := "lobby"
	if protocol == event.SDK {
		channel = keptChannel
	}
	started := applyClients(t, prefix, serviceName, pods, connections,
		fmt.Sprintf("-protocol=%s", protocol), "-channel="+channel)
	for _, p := range started {
		eventually(t, 90*time.Second, p.name+" connects", func() error {
			if open := len(p.open()); open != connections {
				return fmt.Errorf("%d of %d connections are open", open, connections)
			}
			return nil
		})
	}
	return started
}

// applyClients runs pods that connect through a Service, and does not wait for them. Their output is logged when the
// test fails.
func applyClients(t *testing.T, prefix, service string, pods, connections int, args ...string) []clientPod {
	t.Helper()
	manifests := make([]string, 0, pods)
	started := make([]clientPod, 0, pods)
	args = append(args, "-address="+service+":80", fmt.Sprintf("-connections=%d", connections))
	for i := range pods {
		p := clientPod{t: t, name: fmt.Sprintf("%s-%d", prefix, i), connections: connections}
		manifests = append(manifests, clientManifest(p.name, prefix, args...))
		started = append(started, p)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, p := range started {
				t.Logf("%s:\n%s", p.name, p.logs())
			}
		}
	})
	if _, err := kube.Apply(t.Context(), strings.Join(manifests, "---")); err != nil {
		t.Fatal(err)
	}
	return started
}

// clientManifest returns a pod that runs the client with args.
func clientManifest(name, label string, args ...string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata:
  name: %s
  labels: {e2e: %s}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 2
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: client
    image: %s
    args: [%s]
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}
`, name, label, os.Getenv("CLIENT_IMAGE"), strings.Join(args, ", "))
}

func stopClients(t *testing.T, prefix string) {
	t.Helper()
	run(t, "delete", "pod", "-l", "e2e="+prefix, "--timeout=60s")
}

func (p clientPod) logs() string {
	// The logs are also read when the test is over and its context has ended.
	out, err := kube.Run(context.WithoutCancel(p.t.Context()), "logs", p.name)
	if err != nil {
		return ""
	}
	return out
}

func (p clientPod) events() []event.Event { return event.Parse(p.logs()) }

// open returns the gateway of each open connection.
func (p clientPod) open() map[int]string {
	nodes := map[int]string{}
	for _, e := range p.events() {
		switch e.Kind {
		case event.Opened:
			nodes[e.Client] = e.Node
		case event.Closed:
			delete(nodes, e.Client)
		case event.Failed, event.Message:
		}
	}
	return nodes
}

// nodes returns the number of the pod's open connections by gateway.
func (p clientPod) nodes() map[string]int {
	count := map[string]int{}
	for _, node := range p.open() {
		count[node]++
	}
	return count
}

// closes returns the ends of the pod's connections.
func (p clientPod) closes() []event.Event { return p.eventsOf(event.Closed) }

// opened returns the connections that the pod has opened.
func (p clientPod) opened() []event.Event { return p.eventsOf(event.Opened) }

// eventsOf returns the events of one kind.
func (p clientPod) eventsOf(kind event.Kind) []event.Event {
	return slices.DeleteFunc(p.events(), func(e event.Event) bool { return e.Kind != kind })
}
