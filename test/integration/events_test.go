package integration

import (
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// eventuallyTells waits for an event about the fleet, as kubectl describe shows it.
func (f *fleet) eventuallyTells(kind, reason string, words ...string) {
	f.t.Helper()
	f.eventually(func(t *assert.CollectT) {
		var events eventsv1.EventList
		require.NoError(t, env.client.List(f.t.Context(), &events, client.InNamespace(f.namespace)))
		var heard []string
		for _, event := range events.Items {
			if event.Regarding.Kind != "WebSocketCluster" || event.Regarding.Name != f.name {
				continue
			}
			if event.Type == kind && event.Reason == reason && containsAll(event.Note, words) {
				return
			}
			heard = append(heard, event.Type+" "+event.Reason+": "+event.Note)
		}
		assert.Fail(t, "not told", "want %s %s with %q, heard %q", kind, reason, words, heard)
	})
}
