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
	clients := startClients(t, "refused", wsclient.Plain, 12, 2)
	patch := func(spec string) { run(t, "patch", "wsc", clusterName, "--type=merge", "-p", `{"spec":`+spec+`}`) }
	setAuth := func(auth string) { patch(`{"gateway":{"auth":` + auth + `}}`) }
	// Time for the first clients to come back, and for the operator to hear of them.
	patch(`{"rollout":{"minReadySeconds":15}}`)
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
	// The clients of the first gateway that was replaced may all have found another one of the old version.
	if len(left) == 0 || open == 0 {
		t.Errorf("%v of %v serve, with %d clients; the rollout was to stop before the last one", left, before, open)
	}

	patch(`{"rollout":{"minReadySeconds":2},"gateway":{"auth":{"anonymous":true,"jwt":null}}}`)
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
