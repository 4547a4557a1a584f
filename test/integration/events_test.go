package integration

import (
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// eventuallyEvent waits for an event about the fleet whose note contains the words.
func (f *fleet) eventuallyEvent(kind, reason string, words ...string) {
	f.t.Helper()
	f.eventually(func(t *assert.CollectT) {
		var events eventsv1.EventList
		require.NoError(t, env.client.List(f.t.Context(), &events, client.InNamespace(f.namespace)))
		var recorded []string
		for _, event := range events.Items {
			if event.Regarding.Kind != "WebSocketCluster" || event.Regarding.Name != f.name {
				continue
			}
			if event.Type == kind && event.Reason == reason && containsAll(event.Note, words) {
				return
			}
			recorded = append(recorded, event.Type+" "+event.Reason+": "+event.Note)
		}
		assert.Fail(t, "no such event", "want %s %s with %q, recorded %q", kind, reason, words, recorded)
	})
}

func containsAll(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}
