//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/internal/certtest"
	"github.com/wsfleet/wsfleet/test/e2e/event"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

const (
	tlsName     = "tls"
	tlsService  = tlsName + "-gateway"
	tlsPods     = "wsfleet.dev/cluster=" + tlsName + ",app.kubernetes.io/component=gateway"
	tlsSecret   = "tls-certificate"
	tlsReplicas = 2
	tlsManifest = `
apiVersion: wsfleet.dev/v1alpha1
kind: WebSocketCluster
metadata:
  name: ` + tlsName + `
spec:
  replicas: 2
  drain: {timeout: 10s, propagationDelay: 4s}
  rollout: {minReadySeconds: 2}
`
)

// TLS is switched on and off again while clients stay and others come. A client that knows both URLs of the fleet is
// never without a gateway, and needs the other URL only when the last gateways of the old kind drain.
func TestSwitchOfTLSRefusesNoClient(t *testing.T) {
	t.Parallel()
	if _, err := kube.Apply(t.Context(), tlsManifest); err != nil {
		t.Fatal(err)
	}
	run(t, "wait", "--for=condition=Ready", "--timeout=120s", "wsc/"+tlsName)
	pair := certtest.New(t, tlsService)
	clients := startTLSClients(t, pair)

	before, visits := tlsFleet(t), len(clients.visiting.opened())
	setTLS(t, `{"secretName": "`+tlsSecret+`"}`)
	eventually(t, time.Minute, "the condition names the field of the Secret", func() error {
		status, reason, message := conditionOf(t, tlsName, "SpecAccepted")
		if status != "False" || reason != "SecretNotFound" || !strings.Contains(message, "spec.gateway.tls.secretName") {
			return fmt.Errorf("SpecAccepted is %s, %s: %s", status, reason, message)
		}
		return nil
	})
	eventually(t, time.Minute, "clients come as before", func() error {
		if now := len(clients.visiting.opened()); now < visits+50 {
			return fmt.Errorf("%d of 50 have come", now-visits)
		}
		return nil
	})
	if after := tlsFleet(t); after != before {
		t.Errorf("without the Secret the fleet is not as it was:\n%s\nwant\n%s", after, before)
	}
	clients.expectRefusals(map[bool]int{})

	last := clients.awaitSwitch(true, func() {
		secret := fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: %s}
type: kubernetes.io/tls
stringData: {tls.crt: %q, tls.key: %q}
`, tlsSecret, pair.Cert, pair.Key)
		if _, err := kube.Apply(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	})
	clients.expectOldURLUntil(last, false)
	clients.expectRefusals(map[bool]int{false: 1})
	last = clients.awaitSwitch(false, func() { setTLS(t, "null") })
	clients.expectOldURLUntil(last, true)
	clients.expectRefusals(map[bool]int{false: 1, true: 1})

	run(t, "delete", "wsc", tlsName, "--wait=false")
	stopClients(t, tlsName)
}

// setTLS sets spec.gateway.tls, in JSON.
func setTLS(t *testing.T, value string) {
	t.Helper()
	run(t, "patch", "wsc", tlsName, "--type=merge", "-p", `{"spec": {"gateway": {"tls": `+value+`}}}`)
}

// tlsFleet returns what clients depend on: the gateways, their template, the Service's ports, and the URLs.
func tlsFleet(t *testing.T) string {
	t.Helper()
	return strings.Join([]string{
		run(t, "get", "pods", "-l", tlsPods, "-o", "jsonpath={.items[*].metadata.name}"),
		run(t, "get", "deployment", tlsService, "-o", "jsonpath={.spec}"),
		run(t, "get", "service", tlsService, "-o", "jsonpath={.spec}"),
		run(t, "get", "wsc", tlsName, "-o", "jsonpath={.status.urls}"),
	}, "\n")
}

// tlsClients know the URLs of the fleet with and without TLS.
type tlsClients struct {
	t *testing.T
	// staying holds connections, and visiting opens one every 100 ms.
	staying, visiting clientPod
}

// startTLSClients starts the clients, which trust the certificate.
func startTLSClients(t *testing.T, pair certtest.Pair) tlsClients {
	t.Helper()
	clients := tlsClients{
		t:        t,
		staying:  clientPod{t: t, name: tlsName + "-staying", connections: 6},
		visiting: clientPod{t: t, name: tlsName + "-visiting"},
	}
	urls := []string{
		"-address=" + tlsService + ":80", "-tls-address=" + tlsService + ":443",
		fmt.Sprintf("%q", "-certificate="+string(pair.Cert)),
	}
	manifests := []string{
		clientManifest(clients.staying.name, tlsName, append(urls, "-connections=6")...),
		clientManifest(clients.visiting.name, tlsName, append(urls, "-visits=1000000", "-pause=100ms")...),
	}
	if _, err := kube.Apply(t.Context(), strings.Join(manifests, "---")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s:\n%s", clients.staying.name, clients.staying.logs())
			t.Logf("%s ends with: %s", clients.visiting.name, lastLine(clients.visiting.logs()))
		}
	})
	eventually(t, time.Minute, "the clients connect", func() error {
		if len(clients.staying.open()) != clients.staying.connections || len(clients.visiting.opened()) < 10 {
			return fmt.Errorf("not all have connected")
		}
		return nil
	})
	return clients
}

// awaitSwitch lets the fleet change to gateways with or without TLS, and waits until no others are left and all clients
// are at these. It returns when a gateway of the old kind was seen to serve for the last time.
func (c tlsClients) awaitSwitch(tls bool, begin func()) (last time.Time) {
	c.t.Helper()
	port, scheme := "80", "ws"
	if tls {
		port, scheme = "443", "wss"
	}
	old, err := kube.ServingPods(c.t.Context(), tlsPods)
	if err != nil || len(old) != tlsReplicas {
		c.t.Fatalf("%v serve, want %d gateways: %v", old, tlsReplicas, err)
	}
	begin()
	eventually(c.t, 3*time.Minute, "all clients are at gateways of "+scheme, func() error {
		asked := time.Now()
		serving, err := kube.ServingPods(c.t.Context(), tlsPods)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(serving), func(pod string) bool { return !slices.Contains(old, pod) })
		if len(left) > 0 {
			last = asked
		}
		pods := strings.Fields(run(c.t, "get", "pods", "-l", tlsPods, "-o", "jsonpath={.items[*].metadata.name}"))
		ports := run(c.t, "get", "service", tlsService, "-o", "jsonpath={.spec.ports[*].port}")
		if len(pods) != tlsReplicas || len(serving) != tlsReplicas || len(left) > 0 || ports != port {
			return fmt.Errorf("gateways %v, of which %v serve, %v are old; the Service has %s", pods, serving, left, ports)
		}
		urls := run(c.t, "get", "wsc", tlsName, "-o", "jsonpath={.status.urls[*]}")
		if want := fmt.Sprintf("%s://%s.%s.svc/ws", scheme, tlsService, namespace); urls != want {
			return fmt.Errorf("status.urls is %s, want %s", urls, want)
		}
		if open := len(c.staying.open()); open != c.staying.connections {
			return fmt.Errorf("%d of %d clients are connected", open, c.staying.connections)
		}
		for node := range c.staying.nodes() {
			if !slices.Contains(serving, node) {
				return fmt.Errorf("a client is at %s", node)
			}
		}
		return nil
	})
	return last
}

// expectOldURLUntil asserts that the client that visits used the URL with or without TLS, which the fleet has left, at
// least until a time.
func (c tlsClients) expectOldURLUntil(until time.Time, tls bool) {
	c.t.Helper()
	var last time.Time
	for _, e := range c.visiting.opened() {
		if e.TLS == tls {
			last = e.At
		}
	}
	// The client comes every 100 ms.
	if last.Before(until.Add(-time.Second)) {
		c.t.Errorf("with TLS %v a gateway served at %s, and the last visit was at %s", tls, until.UTC().Format(time.TimeOnly),
			last.Format(time.TimeOnly))
	}
}

// expectRefusals asserts that no client was without a gateway, or waited for one, that those that stay were asked to
// come back, and that each client was refused so often at most at the URLs with and without TLS.
func (c tlsClients) expectRefusals(most map[bool]int) {
	c.t.Helper()
	if phase := run(c.t, "get", "pod", c.visiting.name, "-o", "jsonpath={.status.phase}"); phase != "Running" {
		c.t.Errorf("a client was refused at both URLs: %s", lastLine(c.visiting.logs()))
	}
	expectCleanCloses(c.t, c.staying.closes(), closeCodes[wsclient.Plain])
	type url struct {
		pod    string
		client int
		tls    bool
	}
	refusals := map[url]int{}
	for _, pod := range []clientPod{c.staying, c.visiting} {
		for _, e := range pod.eventsOf(event.Failed) {
			at := url{pod.name, e.Client, e.TLS}
			if refusals[at]++; refusals[at] > most[e.TLS] {
				c.t.Errorf("%+v was refused, the %d. time, want %d at most: %d %s", at, refusals[at], most[e.TLS], e.Code, e.Reason)
			}
		}
	}
	pause := c.visiting.longestPause()
	c.t.Logf("%d visits, %s at most between two", len(c.visiting.opened()), pause)
	// A packet that nothing answers costs a client 3 s or more.
	if pause > 3*time.Second {
		c.t.Errorf("%s went by without a visit", pause)
	}
}

// longestPause returns the longest time between two connections of a client that opens one after the other.
func (p clientPod) longestPause() time.Duration {
	var longest time.Duration
	opened := p.opened()
	for i := range opened[min(1, len(opened)):] {
		longest = max(longest, opened[i+1].At.Sub(opened[i].At))
	}
	return longest
}
