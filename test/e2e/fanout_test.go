//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

// subscriber is a client on one particular gateway.
type subscriber struct {
	pod, address string
	conn         *wsclient.Conn
}

func subscribeEverywhere(t *testing.T, protocol wsclient.Protocol, channel string) []subscriber {
	t.Helper()
	pods := awaitServing(t, replicas)
	all := make([]subscriber, 0, len(pods))
	for _, pod := range pods {
		address, stop, err := kube.PortForward(t.Context(), "pod/"+pod, contract.PublicPort)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		conn, err := wsclient.Dial(t.Context(), protocol, address, channel, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.CloseNow() })
		if conn.Node() != pod {
			t.Fatalf("connected to %s through a forward to %s", conn.Node(), pod)
		}
		all = append(all, subscriber{pod, address, conn})
	}
	return all
}

func (s subscriber) expect(t *testing.T, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, err := s.conn.Receive(ctx)
	if err != nil {
		t.Fatalf("%s: waiting for %q: %v", s.pod, want, err)
	}
	if got != want {
		t.Fatalf("%s got %q, want %q", s.pod, got, want)
	}
}

func TestMessagesReachEveryPod(t *testing.T) {
	for _, protocol := range []wsclient.Protocol{wsclient.Plain, wsclient.Centrifuge} {
		t.Run(string(protocol), func(t *testing.T) {
			all := subscribeEverywhere(t, protocol, "fanout-"+string(protocol))
			for _, from := range all {
				text := "from " + from.pod
				if err := from.conn.Publish(t.Context(), text); err != nil {
					t.Fatal(err)
				}
				for _, to := range all {
					to.expect(t, text)
				}
			}
		})
	}
}

func TestBackendPublishReachesEveryPod(t *testing.T) {
	all := subscribeEverywhere(t, wsclient.Centrifuge, "news")
	body := `{"channel": "news", "data": "from the backend"}`
	for _, key := range []struct {
		value  string
		status int
	}{{"wrong", http.StatusUnauthorized}, {apiKey, http.StatusOK}} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"http://"+all[0].address+contract.PathAPI+"publish", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-API-Key", key.value)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var answer map[string]any
		err = json.NewDecoder(response.Body).Decode(&answer)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != key.status {
			t.Fatalf("key %q: status %d, answer %v, %v", key.value, response.StatusCode, answer, err)
		}
	}
	for _, s := range all {
		s.expect(t, "from the backend")
	}
}

// Through kube-proxy with ClientIP affinity one address keeps to one gateway, and addresses spread.
func TestAffinityKeepsAddressOnPod(t *testing.T) {
	awaitServing(t, replicas)
	const pods, each = 10, 20
	used := map[string]int{}
	for _, p := range startClients(t, "affinity", wsclient.Plain, pods, each) {
		nodes := p.nodes()
		if len(nodes) != 1 {
			t.Errorf("%s: its %d connections are on %v, want one gateway", p.name, each, nodes)
		}
		for node, n := range nodes {
			used[node] += n
		}
	}
	t.Logf("%d connections from %d addresses: %v", pods*each, pods, used)
	if len(used) < 2 {
		t.Errorf("all addresses are on %v, want several gateways", used)
	}
	eventually(t, time.Minute, "status counts the connections", func() error {
		if out := strings.TrimSpace(run(t, "get", "wsc", clusterName, "-o",
			"jsonpath={.status.connections}")); out != fmt.Sprint(pods*each) {
			return fmt.Errorf("status.connections is %s, want %d", out, pods*each)
		}
		return nil
	})
	stopClients(t, "affinity")
}
