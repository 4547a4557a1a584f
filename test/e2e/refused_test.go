//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/test/wsclient"
)

// A new version that wants tokens turns away all clients, which have none. Its rollout stops, so that the users on the
// gateways of the old version stay, and all are back when the spec is.
func TestRolloutStopsWhenClientsAreRefused(t *testing.T) {
	const key = "e2e-secret-of-tokens-0123456789abcdef"
	secret := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "fleet-jwt"},
		"stringData": {"jwt-key": %q}}`, key)
	if _, err := kube.Apply(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	before := awaitServing(t, replicas)
	clients := startClients(t, "refused", wsclient.Plain, 3, 8)
	setAuth := func(auth string) {
		run(t, "patch", "wsc", clusterName, "--type=merge", "-p", `{"spec":{"gateway":{"auth":`+auth+`}}}`)
	}
	setAuth(`{"anonymous":false,"jwt":{"secretRef":{"name":"fleet-jwt"}}}`)
	eventually(t, 3*time.Minute, "the rollout stops", func() error {
		status, reason, message := condition(t, "Progressing")
		if status == "False" && reason == "ClientsRefused" {
			return nil
		}
		return fmt.Errorf("Progressing is %s, %s: %s", status, reason, message)
	})
	_, _, message := condition(t, "Progressing")
	t.Log(message)
	left := slices.DeleteFunc(servingPods(t), func(pod string) bool { return !slices.Contains(before, pod) })
	open := 0
	for _, p := range clients {
		open += len(p.open())
	}
	if len(left) < replicas-1 || open < 8 {
		t.Errorf("gateways of the old version: %v of %v, with %d clients; want all but the first one that was replaced",
			left, before, open)
	}

	setAuth(`{"anonymous":true,"jwt":null}`)
	eventually(t, 3*time.Minute, "all clients are back", func() error {
		for _, p := range clients {
			if open := len(p.open()); open != p.connections {
				return fmt.Errorf("%s: %d of %d open", p.name, open, p.connections)
			}
		}
		if _, reason, message := condition(t, "Progressing"); reason != "Settled" {
			return fmt.Errorf("Progressing is %s: %s", reason, message)
		}
		return nil
	})
	after := awaitServing(t, replicas)
	for _, pod := range left {
		if !slices.Contains(after, pod) {
			t.Errorf("%v serve: the old version is the one that the spec asks for, and %s was replaced all the same", after, pod)
		}
	}
	stopClients(t, "refused")
}
