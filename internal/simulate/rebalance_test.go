package simulate

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// rebalanced returns a scenario in which clients move to new gateways, 10 % of them per minute.
func rebalanced(t *testing.T, replicas int32, connections int64, events ...string) Scenario {
	t.Helper()
	s := scenario(t, replicas, connections, events...)
	s.Spec.Rebalance.Enabled, s.Spec.Rebalance.MaxShedPerMinute = true, new(intstr.FromString("10%"))
	return s
}

func TestScaleOutLeavesClientsWhereTheyAre(t *testing.T) {
	r := run(t, scenario(t, 2, 10_000, "scale-out=3"))
	require.True(t, r.Settled)
	require.Zero(t, r.Disconnects.Total)
	require.InDelta(t, 2.5, r.Fleet.FullestToAverage, 0.1)
}

func TestRebalanceMovesClientsToNewGateways(t *testing.T) {
	r := run(t, rebalanced(t, 2, 10_000, "scale-out=3"))
	require.True(t, r.Settled)
	require.Less(t, r.Fleet.FullestToAverage, 1.25)
	require.Zero(t, r.Disconnects.Forced)
	require.Zero(t, r.Attempts.Refused)
	require.Equal(t, 1, r.Fleet.MaxDraining)
	require.Equal(t, 2, r.Fleet.MinServing, "before the new ones are ready; one sheds after that")
	// Two gateways have 3000 more than the average. What the first one sheds comes to the second one too.
	require.InDelta(t, 0.8, r.Disconnects.PerClient, 0.1)
	// At 1000 per minute, in two rounds of five minutes each.
	require.InDelta(t, 8*60, r.Seconds, 4*60)
	require.LessOrEqual(t, r.Peak.ClosesPerSecond, int64(1000/60+1))
}

// A scale-in in the middle comes first, and the rebalance goes on after it.
func TestRebalanceWaitsForAScaleIn(t *testing.T) {
	r := run(t, rebalanced(t, 4, 10_000, "scale-out=4", "scale-in=1@3m"))
	require.True(t, r.Settled)
	require.Less(t, r.Fleet.FullestToAverage, 1.3)
	require.Zero(t, r.Disconnects.Forced)
	require.LessOrEqual(t, r.Fleet.MaxDraining, 1)
}

// The gateways that a rollout makes first collect the clients of all others. A rebalance spreads them.
func TestRebalanceAfterARollout(t *testing.T) {
	without := run(t, scenario(t, 8, 20_000, "rollout"))
	with := run(t, rebalanced(t, 8, 20_000, "rollout"))
	require.Greater(t, without.Fleet.FullestToAverage, 1.3)
	require.True(t, with.Settled)
	require.Less(t, with.Fleet.FullestToAverage, 1.25)
}
