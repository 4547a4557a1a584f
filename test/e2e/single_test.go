//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/test/e2e/event"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

// The only gateway of a fleet is ready and accepts until its replacement does. With Redis it learns of the replacement
// by itself, without Redis from the operator.
func TestSingleGatewayIsReplacedWithoutARefusal(t *testing.T) {
	t.Parallel()
	fleets := []singleFleet{{t, "single-redis", "{managed: {}}"}, {t, "single-memory", "{}"}}
	for _, f := range fleets {
		f.create()
	}
	for _, f := range fleets {
		f.awaitClients()
	}
	for what, args := range map[string][]string{
		"deleted":   {"delete", "pod", "--wait=false", "-l"},
		"restarted": {"rollout", "restart", "deployment", "-l"},
	} {
		for _, f := range fleets {
			old := f.servingPod()
			run(t, append(args, f.selector())...)
			f.awaitReplacementOf(old, what)
		}
	}
	for _, f := range fleets {
		run(t, "delete", "wsc", f.name, "--wait=false")
	}
	stopClients(t, "single")
}

// singleFleet is a fleet of one gateway, with a client that stays and one that connects again and again.
type singleFleet struct {
	t           *testing.T
	name, redis string
}

func (f singleFleet) selector() string {
	return "app.kubernetes.io/component=gateway,wsfleet.dev/cluster=" + f.name
}

func (f singleFleet) staying() clientPod {
	return clientPod{t: f.t, name: f.name + "-staying", connections: 1}
}

func (f singleFleet) visiting() clientPod { return clientPod{t: f.t, name: f.name + "-visiting"} }

func (f singleFleet) create() {
	f.t.Helper()
	fleet := fmt.Sprintf(`
apiVersion: wsfleet.dev/v1alpha1
kind: WebSocketCluster
metadata:
  name: %s
spec:
  replicas: 1
  redis: %s
  drain: {timeout: 90s, propagationDelay: 4s}
  rollout: {minReadySeconds: 2}
`, f.name, f.redis)
	if _, err := kube.Apply(f.t.Context(), fleet); err != nil {
		f.t.Fatal(err)
	}
}

// awaitClients waits until the gateway serves, and starts the clients.
func (f singleFleet) awaitClients() {
	f.t.Helper()
	run(f.t, "wait", "--for=condition=Available", "--timeout=120s", "wsc/"+f.name)
	address := "-address=" + f.name + "-gateway:80"
	manifests := []string{
		clientManifest(f.staying().name, "single", address),
		clientManifest(f.visiting().name, "single", address, "-visits=1000000", "-pause=100ms"),
	}
	if _, err := kube.Apply(f.t.Context(), strings.Join(manifests, "---")); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if f.t.Failed() {
			f.t.Logf("%s:\n%s", f.staying().name, f.staying().logs())
		}
	})
	eventually(f.t, time.Minute, f.name+" has its clients", func() error {
		if len(f.staying().open()) != 1 || len(f.visiting().events()) < 10 {
			return fmt.Errorf("not all have connected")
		}
		return nil
	})
}

// servingPod returns the name of the gateway's pod, of which there is one.
func (f singleFleet) servingPod() string {
	f.t.Helper()
	var serving []string
	eventually(f.t, 2*time.Minute, f.name+" has one gateway", func() (err error) {
		serving, err = kube.ServingPods(f.t.Context(), f.selector())
		if err == nil && len(serving) != 1 {
			err = fmt.Errorf("it has %v", serving)
		}
		return err
	})
	return serving[0]
}

// awaitReplacementOf waits until the clients are at another gateway and the old one has ended. No visitor was refused
// meanwhile: the client that visits ends at the first refusal.
func (f singleFleet) awaitReplacementOf(old, what string) {
	f.t.Helper()
	eventually(f.t, 2*time.Minute, fmt.Sprintf("%s is %s and replaced", old, what), func() error {
		pods := strings.Fields(run(f.t, "get", "pods", "-l", f.selector(), "-o", "jsonpath={.items[*].metadata.name}"))
		nodes := f.staying().nodes()
		if len(pods) != 1 || pods[0] == old || nodes[pods[0]] != 1 {
			return fmt.Errorf("gateways %v, the client is at %v", pods, nodes)
		}
		return nil
	})
	if phase := run(f.t, "get", "pod", f.visiting().name, "-o", "jsonpath={.status.phase}"); phase != "Running" {
		f.t.Errorf("while %s was %s, a client was refused: %s", old, what, lastLine(f.visiting().logs()))
	}
	expectCleanCloses(f.t, closesOf([]clientPod{f.staying()}, old), closeCodes[wsclient.Plain])
	visits := 0
	for _, e := range f.visiting().events() {
		if e.Kind == event.Opened && e.Node != old {
			visits++
		}
	}
	if visits == 0 {
		f.t.Errorf("no client has reached the gateway that replaced %s", old)
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
