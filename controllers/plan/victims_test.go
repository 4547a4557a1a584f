package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/internal/contract"
)

func TestVictimsSayWhatTheyAreChosenBy(t *testing.T) {
	fleet := simpleFleet{}.with("starting", 0, notReady, silent).with("draining", 9, drains(contract.StateDraining)).
		with("deaf", 7, notReady).with("in-x", 5, inZone("x")).with("in-y", 6, inZone("y")).with("fuller", 8, inZone("y"))
	type choice struct {
		pod, rank, zone string
		inZone          int
	}
	var got []choice
	for _, v := range plan.Victims(plan.Gateways(fleet.pods, fleet.reports, at(0)), 6) {
		got = append(got, choice{v.Gateway.Pod.Name, v.Rank, v.Zone, v.InZone})
	}
	assert.Equal(t, []choice{
		{"starting", "has not come up, and has no clients", "", 3},
		{"draining", "drains already", "", 2},
		{"deaf", "is not ready", "", 1},
		{"in-y", "serves", "y", 2},
		{"in-x", "serves", "x", 1},
		{"fuller", "serves", "y", 1},
	}, got)
}

func TestGatewaysAreCounted(t *testing.T) {
	fleet := simpleFleet{}.with("a", 1).with("b", 2).with("c", 3, drains(contract.StateDraining)).
		with("d", 4, terminates).with("e", 0, drains(contract.StateDrained)).with("f", 5, notReady)
	gateways := plan.Gateways(fleet.pods, fleet.reports, at(0))
	assert.Equal(t, 2, plan.Serving(gateways))
	assert.Equal(t, 2, plan.Draining(gateways), "c hands its clients over, and d is about to")
	assert.Equal(t, 2000, plan.Room(gateways))
}
