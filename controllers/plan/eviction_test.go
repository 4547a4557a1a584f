package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/internal/contract"
)

func TestHoldEvictions(t *testing.T) {
	two := maxUnavailable(2)
	budget := func(s *v1alpha1.WebSocketClusterSpec) { s.Rollout.MaxReconnectsPerSecond = new(int32(10)) }
	draining, drained := drains(contract.StateDraining), drains(contract.StateDrained)
	const oneOfOne = "gateways that drain already: 1, and spec.disruption.maxUnavailable allows 1"
	for _, c := range []struct {
		name  string
		spec  v1alpha1.WebSocketClusterSpec
		fleet simpleFleet
		want  string
	}{
		{"none drains", scaleInSpec(3), simpleFleet{}.with("a", 30).with("b", 10).with("c", 20), ""},
		{"none is ready", scaleInSpec(2), simpleFleet{}.with("a", 30, notReady).with("b", 0, notReady, silent), ""},
		{"one was evicted", scaleInSpec(3), simpleFleet{}.with("a", 30, terminates).with("b", 10).with("c", 20), oneOfOne},
		{"its replacement is ready, and it still drains", scaleInSpec(2),
			simpleFleet{}.with("a", 30, terminates).with("b", 10).with("new", 0), oneOfOne},
		{"it has handed over its clients", scaleInSpec(2),
			simpleFleet{}.with("a", 0, terminates, drained).with("b", 10).with("new", 0), ""},
		{"its node is lost", scaleInSpec(2), simpleFleet{}.with("a", 3, lost).with("b", 10).with("new", 0), ""},
		{"one drains for a scale-in", scaleInSpec(2),
			simpleFleet{}.with("a", 30, markedUntil(50)).with("b", 10).with("c", 10), oneOfOne},
		{"one drains by hand", scaleInSpec(2), simpleFleet{}.with("a", 30, draining).with("b", 10), oneOfOne},
		{"two may drain", scaleInSpec(3, two), simpleFleet{}.with("a", 30, terminates).with("b", 10).with("c", 20), ""},
		{"two may drain, one does, and the replacement is ready", scaleInSpec(3, two),
			simpleFleet{}.with("a", 30, terminates).with("b", 10).with("c", 20).with("new", 0),
			"gateways that drain already: 1, and spec.disruption.maxUnavailable allows 2"},
		{"two do", scaleInSpec(3, two), simpleFleet{}.with("a", 30, terminates).with("b", 10, draining).with("c", 20),
			"gateways that drain already: 2, and spec.disruption.maxUnavailable allows 2"},
		{"the budget is too small for the fullest", scaleInSpec(3, two, budget),
			simpleFleet{}.with("a", 300, terminates).with("b", 10).with("c", 201),
			"gateways that drain already: 1, and drains may send 10 clients per second to the others"},
		{"the budget is large enough", scaleInSpec(3, two, budget),
			simpleFleet{}.with("a", 300, terminates).with("b", 10).with("c", 200), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, plan.HoldEvictions(c.spec, plan.Gateways(c.fleet.pods, c.fleet.reports, at(0))))
		})
	}
}
