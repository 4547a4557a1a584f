package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/reconnect"
)

func TestRunWithoutEventChangesNothing(t *testing.T) {
	s := scenario(t, 3, 1000)
	r := run(t, s)
	require.True(t, r.Settled)
	require.Zero(t, r.Seconds)
	require.Zero(t, r.Disconnects.Total)
	require.Zero(t, r.Attempts.Total)
	require.InDelta(t, 1, r.Fleet.FullestToAverage, 0.1)
	r.Fleet.FullestToAverage = 0
	require.Equal(t, Fleet{MinServing: 3, MaxPods: 3, AllowedDraining: 1}, r.Fleet)
}

// closing returns the seconds from the first to the last sample in which drains closed connections.
func closing(r *Result) (first, last float64) {
	for _, s := range r.Samples {
		if s.ClosesPerSecond > 0 {
			if first == 0 {
				first = s.Seconds
			}
			last = s.Seconds
		}
	}
	return first, last
}

// One gateway with N connections and a budget of B closes them in N/B seconds.
func TestScaleInTakesConnectionsDividedByBudget(t *testing.T) {
	for _, budget := range []int32{20, 100, 250} {
		s := scenario(t, 2, 4000, "scale-in=1")
		s.Spec.Rollout.MaxReconnectsPerSecond = &budget
		r := run(t, s)
		require.True(t, r.Settled)
		first, last := closing(r)
		require.GreaterOrEqual(t, first, 10.0, "load balancers get the propagation delay")
		require.InDelta(t, 2000/float64(budget), last-first, 2)
		// A step of the pace closes what is due in 50 ms.
		require.InDelta(t, budget, r.Peak.ClosesPerSecond, float64(budget)/20)
		require.InDelta(t, 1, r.Peak.ClosesToBudget, 0.05)
		require.Equal(t, int64(2000), r.Disconnects.Closed)
		require.Zero(t, r.Disconnects.Forced)
		require.Equal(t, 1, r.Fleet.MaxDraining)
		require.Equal(t, 1, r.Fleet.MinServing)
	}
}

// Without a budget, a gateway spreads its closes over the drain's timeout after the propagation delay.
func TestScaleInWithoutBudgetTakesTheWholeDrain(t *testing.T) {
	s := scenario(t, 2, 5800, "scale-in=1")
	s.Spec.Gateway.ConnectRate = new(int32(0))
	r := run(t, s)
	first, last := closing(r)
	require.InDelta(t, 10, first, 1)
	require.InDelta(t, 300, last, 2)
	require.InDelta(t, 2900.0/290, r.Peak.ClosesPerSecond, 1)
	require.Zero(t, r.Peak.MinBudgetPerSecond)
	require.Zero(t, r.Disconnects.Forced)
}

// What a drain cannot close at the budget within its timeout, it closes at once at the deadline.
func TestDrainClosesTheRestAtItsDeadline(t *testing.T) {
	s := scenario(t, 2, 4000, "scale-in=1")
	s.Spec.Rollout.MaxReconnectsPerSecond = new(int32(10))
	s.Spec.Drain.Timeout = &metav1.Duration{Duration: time.Minute}
	r := run(t, s)
	require.InDelta(t, 2000-10*50, r.Disconnects.Forced, 20)
	require.Contains(t, r.Notes()[0], "at their deadline: raise spec.drain.timeout")
}

// Gateways that start in ten seconds and are available after twenty are replaced in thirty each, one at a time.
func TestRolloutTakesStartAndMinReadySecondsForEachGateway(t *testing.T) {
	const replicas = 6
	r := run(t, scenario(t, replicas, 0, "rollout"))
	require.True(t, r.Settled)
	require.GreaterOrEqual(t, r.Seconds, float64(30*replicas))
	require.LessOrEqual(t, r.Seconds, float64(31*replicas+15), "and the last drain")
	require.Equal(t, Fleet{MaxDraining: 1, AllowedDraining: 1, MinServing: replicas, MaxPods: replicas + 2}, r.Fleet)
}

func TestScaleInKeepsToABudgetThatFalls(t *testing.T) {
	s := scenario(t, 10, 50_000, "scale-in=5")
	s.Spec.Gateway.MaxConnections = new(int32(20_000))
	r := run(t, s)
	require.True(t, r.Settled)
	require.InDelta(t, 0.5*500*5, r.Peak.MinBudgetPerSecond, 0, "half of what the five that stay accept")
	require.InDelta(t, 1, r.Peak.ClosesToBudget, 0.06)
}

func TestRolloutKeepsToTheBudget(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		s := scenario(t, 10, 50_000, "rollout")
		s.Seed = seed
		s.Spec.Gateway.MaxConnections = new(int32(20_000))
		s.Spec.Rollout.MaxReconnectsPerSecond = new(int32(1000))
		r := run(t, s)
		require.True(t, r.Settled)
		require.LessOrEqual(t, r.Peak.ClosesPerSecond, int64(1000))
		require.Greater(t, r.Peak.ClosesPerSecond, int64(900))
		require.Zero(t, r.Attempts.Refused)
		require.Zero(t, r.Disconnects.Forced)
		// The first clients come back to the nine old gateways and one or two new ones.
		require.InDelta(t, 1.5, r.Disconnects.PerClient, 0.2)
		// A rollout takes at least the time that the budget takes for all closes.
		require.GreaterOrEqual(t, r.Seconds, float64(r.Disconnects.Closed)/1000)
	}
}

func TestRolloutIsHeldWhileAGatewayDrains(t *testing.T) {
	s := scenario(t, 3, 3000, "rollout")
	s.Spec.Rollout.MaxReconnectsPerSecond = new(int32(10))
	r := run(t, s)
	require.True(t, r.Settled)
	require.Equal(t, 1, r.Fleet.MaxDraining)
	require.Greater(t, r.HeldSeconds, 100.0, "each drain takes a hundred seconds, and a start thirty")
}

func TestKilledGatewaysClientsComeBackAfterTheirWait(t *testing.T) {
	s := scenario(t, 10, 10_000, "kill=1@5s")
	s.Clients = comeBackAfter(5 * time.Second)
	s.Spec.Gateway.ConnectRate = new(int32(0))
	r := run(t, s)
	require.True(t, r.Settled)
	require.Equal(t, int64(1000), r.Disconnects.Cut)
	require.Equal(t, Away{P50: 5, P90: 5, P99: 5, Max: 5, Mean: 5, Returned: 1000}, r.Away)
	require.Equal(t, int64(1000), r.Peak.ReconnectsPerSecond)
	require.InDelta(t, 5, r.BackSeconds, 0.11)
	require.Equal(t, 9, r.Fleet.MinServing)
}

// A gateway accepts connectRate clients per second, and as many at once.
func TestAcceptLimitPacesReturningClients(t *testing.T) {
	s := scenario(t, 2, 4000, "kill=1")
	s.Clients = comeBackAfter(100 * time.Millisecond)
	s.Spec.Gateway.ConnectRate = new(int32(100))
	s.Restart = Range{time.Hour, time.Hour}
	r := run(t, s)
	require.Equal(t, int64(2000), r.Away.Returned)
	require.LessOrEqual(t, r.Peak.ReconnectsPerSecond, int64(200))
	require.GreaterOrEqual(t, r.BackSeconds, float64(2000-100)/100)
	require.LessOrEqual(t, r.BackSeconds, 24.0, "refused clients try again within four seconds")
	require.Positive(t, r.Attempts.Refused)
	require.Zero(t, r.Attempts.Full)
}

func TestFullGatewaysRefuseClients(t *testing.T) {
	s := scenario(t, 2, 3000, "kill=1")
	s.Spec.Gateway.MaxConnections = new(int32(2000))
	s.Restart = Range{time.Minute, time.Minute}
	r := run(t, s)
	require.True(t, r.Settled)
	require.Greater(t, r.Away.Max, 55.0, "a third of them waits for the other gateway")
	require.Positive(t, r.Attempts.Full)
	require.Contains(t, fmt.Sprint(r.Notes()), "found a full gateway")
}

func TestGatewayWithoutOthersIsUnreachableWhileItStartsAgain(t *testing.T) {
	s := scenario(t, 1, 100, "kill=1")
	s.Clients = comeBackAfter(time.Second)
	s.Restart = Range{10 * time.Second, 10 * time.Second}
	r := run(t, s)
	require.True(t, r.Settled)
	require.InDelta(t, 11, r.Away.Max, 1.2, "and load balancers notice it after a second")
	require.Equal(t, r.Attempts.Total-100, r.Attempts.Unreachable)
}

func TestNodeLossIsNoticedByClientsAndKubernetes(t *testing.T) {
	s := scenario(t, 10, 10_000, "node-loss=2")
	s.Clients = comeBackAfter(time.Second)
	s.ClientDetection = Range{20 * time.Second, 20 * time.Second}
	r := run(t, s)
	require.True(t, r.Settled)
	require.Equal(t, int64(2000), r.Disconnects.Cut)
	require.InDelta(t, 21, r.Away.P50, 0.1, "they notice it after twenty seconds, and wait one")
	require.InDelta(t, 0.2*2000, r.Attempts.Unanswered, 300, "load balancers still send a fifth to the lost nodes")
	require.GreaterOrEqual(t, r.Away.Max, 32.0, "these try for ten seconds, and wait one")
	require.InDelta(t, 50+300+10+20, r.Seconds, 5, "until the replacements are available")
	require.Equal(t, 8, r.Fleet.MinServing)
}

func TestZoneLossLeavesTheOtherZones(t *testing.T) {
	s := scenario(t, 9, 900, "zone-loss")
	f, err := newSimulation(s)
	require.NoError(t, err)
	for !f.settled() || f.now == 0 {
		f.step()
		f.now++
	}
	zones := map[int]int{}
	for _, g := range f.gateways {
		if g.answers() {
			zones[g.zone]++
		}
	}
	require.Len(t, zones, 2)
	for zone, gateways := range zones {
		require.False(t, f.zoneLost[zone])
		require.GreaterOrEqual(t, gateways, 4)
	}
}

func TestRedisLossDelaysNewGatewaysAlone(t *testing.T) {
	alone := run(t, scenario(t, 3, 300, "redis-loss=5m"))
	require.Zero(t, alone.Disconnects.Total)
	require.InDelta(t, 300, alone.Seconds, 1)
	without, with := run(t, scenario(t, 3, 300, "rollout")), run(t, scenario(t, 3, 300, "rollout", "redis-loss=5m"))
	require.InDelta(t, without.Seconds+300-10, with.Seconds, 3, "the first new gateway is ready when Redis is back")
}

func TestLeaveShareAndFinalLayersLeaveForGood(t *testing.T) {
	s := scenario(t, 10, 10_000, "kill=5")
	s.LeaveShare = 0.3
	r := run(t, s)
	require.InDelta(t, 1500, r.Away.Gone, 150)
	require.Equal(t, int64(5000), r.Away.Gone+r.Away.Returned)

	s = scenario(t, 2, 2000, "scale-in=1")
	clients, err := ParseClients("rxjs-retry=1,sockette=1", nil)
	require.NoError(t, err)
	s.Clients = clients
	r = run(t, s)
	require.Equal(t, int64(500), r.Away.Gone, "rxjs-retry takes a close frame for the end")
	require.Equal(t, int64(500), r.Away.Returned)
	s.Events = []Event{{Kind: Kill, Count: 1}}
	require.Zero(t, run(t, s).Away.Gone, "and a cut for an error")
}

func TestLayersGiveUp(t *testing.T) {
	for name, layer := range map[string]reconnect.Layer{
		"after a refusal":  {Name: "x", Waits: layerOf(time.Second).Waits, Growth: 1, EndsAtRefusal: true},
		"after an attempt": {Name: "x", Waits: layerOf(time.Second).Waits, Growth: 1, Attempts: 1},
	} {
		s := scenario(t, 2, 2000, "kill=1")
		s.Clients = []Share{{layer, 1}}
		s.Spec.Gateway.ConnectRate = new(int32(100))
		s.Restart = Range{time.Minute, time.Minute}
		r := run(t, s)
		require.True(t, r.Settled, name)
		require.Equal(t, int64(100), r.Away.Returned, name)
		require.Equal(t, int64(900), r.Away.Gone, name)
	}
}

// everything is a fleet to which all events happen in a short time.
func everything(t *testing.T, seed uint64) Scenario {
	t.Helper()
	s := scenario(t, 12, 60_000, "rollout", "zone-loss@45s", "scale-in=2@1m", "kill=2@70s", "redis-loss=2m@80s",
		"node-loss@3m", "rollout@4m", "scale-in=1@5m")
	s.Seed = seed
	clients, err := ParseClients("centrifuge=3,stompjs=2,phoenix,signalr,graphql-ws", nil)
	require.NoError(t, err)
	s.Clients, s.LeaveShare = clients, 0.01
	s.PodStart = Range{5 * time.Second, 15 * time.Second}
	return s
}

func TestEventsTogetherEndAndLoseNoClient(t *testing.T) {
	for seed := range uint64(6) {
		s := everything(t, seed)
		allowDraining(&s, fmt.Sprint(1+seed%3))
		r := run(t, s)
		require.True(t, r.Settled, "seed %d: %s", seed, r.Waits)
		require.Equal(t, r.Disconnects.Total, r.Away.Returned+r.Away.Gone)
		require.Equal(t, r.Attempts.Total, r.Away.Returned+r.Attempts.Refused+r.Attempts.Unanswered+r.Attempts.Unreachable)
	}
}

func TestRunFollowsFromTheSeed(t *testing.T) {
	text := func(seed uint64) string {
		r, err := Run(t.Context(), everything(t, seed), nil)
		require.NoError(t, err)
		r.Seed = 0
		b, err := json.Marshal(r)
		require.NoError(t, err)
		return string(b)
	}
	first, again, other := text(1), text(1), text(2)
	require.Equal(t, first, again)
	require.NotEqual(t, first, other)
}

func TestRunEndsAtTheLimit(t *testing.T) {
	s := scenario(t, 2, 3000, "scale-in=1")
	s.Spec.Gateway.MaxConnections = new(int32(2000))
	s.Limit = time.Minute
	r, err := Run(t.Context(), s, nil)
	require.NoError(t, err)
	require.False(t, r.Settled)
	require.Contains(t, r.Waits, "those that stay could not hold all clients")
	require.Contains(t, r.Notes()[0], "has not settled within the limit; the operator waits: those that stay")
}

func TestRunEndsWithItsContextAndReportsProgress(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var seen []Progress
	_, err := Run(ctx, scenario(t, 3, 300, "rollout"), func(p Progress) {
		if seen = append(seen, p); len(seen) == 10 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, seen, 10)
	require.Equal(t, 9*time.Second, seen[9].Elapsed)
	require.Equal(t, "9s simulated: 300 connected, 0 away, 1 of 4 gateways updated, 0 drain", seen[9].Line())
}

func TestRunRefusesABadScenario(t *testing.T) {
	s := scenario(t, 3, 300, "rollout")
	s.Zones = 0
	_, err := Run(t.Context(), s, nil)
	require.ErrorContains(t, err, "--zones: 0 zones: give 1 to 100")
}

// A fleet of a thousand gateways may replace a tenth of them at once.
func TestRolloutOfManyGatewaysStaysWithinMaxUnavailable(t *testing.T) {
	s := scenario(t, 1000, 1_000_000, "rollout")
	allowDraining(&s, "10%")
	s.Spec.Gateway.MaxConnections = new(int32(4000))
	r, err := Run(t.Context(), s, nil)
	require.NoError(t, err)
	require.True(t, r.Settled)
	require.Equal(t, 100, r.Fleet.AllowedDraining)
	require.LessOrEqual(t, r.Fleet.MaxDraining, 100)
	require.LessOrEqual(t, r.Fleet.MaxPods, 1200)
	require.Less(t, r.Seconds, 400.0)
}

// steps lets a time pass.
func steps(t *testing.T, f *simulation, d time.Duration) {
	t.Helper()
	for end := f.now + slots(d); f.now < end; f.now++ {
		f.step()
		requireConserved(t, f)
	}
}

func TestDrainThatIsUndoneAtOnceLeavesTheGatewayReady(t *testing.T) {
	f, err := newSimulation(scenario(t, 3, 300))
	require.NoError(t, err)
	g := f.gateways[0]
	f.beginDrain(g, "test", time.Minute, time.Second, false)
	steps(t, f, time.Second)
	f.undrain(g)
	steps(t, f, 10*time.Second)
	require.True(t, g.serves())
	require.GreaterOrEqual(t, g.listedAt, 0)
	require.Empty(t, f.draining)
}

func TestDrainEndsWithItsNode(t *testing.T) {
	f, err := newSimulation(scenario(t, 3, 300))
	require.NoError(t, err)
	g := f.gateways[0]
	f.terminate(g)
	steps(t, f, time.Second)
	f.loseNode(g)
	require.Zero(t, g.open)
	steps(t, f, time.Hour)
	require.False(t, g.removed, "no kubelet confirms its end")
	require.Contains(t, f.gateways, g)
	require.Empty(t, f.draining)
	require.True(t, f.settled(), "such a pod is not waited for")
}

func TestDrainOfTheOnlyGatewayWaitsForAnother(t *testing.T) {
	s := scenario(t, 1, 100)
	s.PodStart = Range{30 * time.Second, 30 * time.Second}
	f, err := newSimulation(s)
	require.NoError(t, err)
	g := f.gateways[0]
	f.terminate(g)
	steps(t, f, 29*time.Second)
	require.True(t, g.report(f.now, 1).Drain.WaitsForAnother)
	require.Equal(t, int64(100), g.open)
	require.Equal(t, []*gateway{g}, f.targets(), "it accepts clients until another one serves")
	steps(t, f, time.Minute)
	require.True(t, g.removed)
	require.Equal(t, int64(100), f.gateways[len(f.gateways)-1].open)
}

func TestDrainWithoutRedisHandsOverAfterItsPropagationDelay(t *testing.T) {
	f, err := newSimulation(scenario(t, 3, 300, "redis-loss=10m"))
	require.NoError(t, err)
	steps(t, f, time.Second)
	g := f.gateways[0]
	f.terminate(g)
	steps(t, f, 9*time.Second)
	require.False(t, g.drain.handedOver)
	steps(t, f, 2*time.Second)
	require.True(t, g.drain.handedOver)
}

func TestReportHasTheHandshakesOfTheLastMinute(t *testing.T) {
	g := &gateway{tokens: 100}
	took, full := g.accept(0, 130, 100, 1000)
	require.Equal(t, []int64{100, 0}, []int64{took, full})
	g.open = took
	g.accept(30*slotsPerSecond, 20, 100, 1000)
	r := g.report(31*slotsPerSecond, 1000)
	require.InDelta(t, 120./60, *r.ConnectRate, 1e-9)
	require.InDelta(t, 30./60, *r.CrowdRate, 1e-9)
	r = g.report(65*slotsPerSecond, 1000)
	require.InDelta(t, 20./60, *r.ConnectRate, 1e-9)
	require.Zero(t, *r.CrowdRate)
}

func TestRolloutWaitsWhileMoreClientsComeBackThanGatewaysAccept(t *testing.T) {
	crowded := func(policy v1alpha1.RefusalPolicy) *Result {
		s := scenario(t, 10, 50_000, "rollout", "kill=3@20s")
		s.Clients = comeBackAfter(time.Second)
		s.Spec.Gateway.ConnectRate, s.Spec.Gateway.MaxConnections = new(int32(100)), new(int32(20_000))
		s.Spec.Rollout.RefusalPolicy, s.Spec.Disruption.MaxUnavailable = policy, new(intstr.FromInt32(4))
		return run(t, s)
	}
	waits, goesOn := crowded(v1alpha1.RefusalPause), crowded(v1alpha1.RefusalContinue)
	require.True(t, waits.Settled)
	require.Greater(t, waits.HeldSeconds, goesOn.HeldSeconds, "no further gateway drains while one does")
}

func TestDrainedGatewayThatIsNotDeletedServesAgain(t *testing.T) {
	f, err := newSimulation(scenario(t, 3, 300))
	require.NoError(t, err)
	g := f.gateways[0]
	f.drainForScaleIn(g, time.Minute)
	steps(t, f, 30*time.Second)
	require.Less(t, g.open, int64(100))
	require.NotNil(t, g.drain)
	steps(t, f, time.Minute+serveAgainAfter)
	require.True(t, g.serves())
}

func TestRolloutBringsBackWhatDrainsForAScaleIn(t *testing.T) {
	r := run(t, scenario(t, 4, 4000, "scale-in=1", "rollout@15s"))
	require.True(t, r.Settled)
	require.Equal(t, 1, r.Fleet.MaxDraining)
	require.Greater(t, r.Seconds, 120.0, "first the rollout of four gateways, then the scale-in")
}

func TestDeploymentDeletesNotReadyThenCheapThenNewestPods(t *testing.T) {
	s := scenario(t, 5, 0)
	f, err := newSimulation(s)
	require.NoError(t, err)
	for i, g := range f.gateways {
		g.availableFrom = slot(i)
	}
	f.annotate(f.gateways[1], "controller.kubernetes.io/pod-deletion-cost", "-5")
	f.gateways[2].pod.Status.Conditions = nil
	order := slices.Clone(f.gateways)
	slices.SortStableFunc(order, compareForDeletion)
	var names []string
	for _, g := range order {
		names = append(names, g.pod.Name)
	}
	require.Equal(t, []string{"gateway-3", "gateway-2", "gateway-5", "gateway-4", "gateway-1"}, names)
}

func TestDeploymentIsTheOneThatTheOperatorRenders(t *testing.T) {
	s := scenario(t, 10, 0)
	s.Spec.Rollout.MaxSurge, s.Spec.Rollout.MinReadySeconds = new(intstr.FromInt32(5)), new(int32(7))
	allowed := intstr.FromInt32(2)
	s.Spec.Disruption.MaxUnavailable = &allowed
	d, err := renderedDeployment(s.Spec)
	require.NoError(t, err)
	require.Equal(t, intstr.FromInt32(2), *d.Spec.Strategy.RollingUpdate.MaxSurge, "lowered to what may drain at once")
	require.Equal(t, int32(7), d.Spec.MinReadySeconds)
	require.Equal(t, int64(10+300+15), *d.Spec.Template.Spec.TerminationGracePeriodSeconds)
}

func TestDeploymentScalesAllVersionsInProportionWhilePaused(t *testing.T) {
	s := scenario(t, 10, 0)
	rendered, err := renderedDeployment(s.Spec)
	require.NoError(t, err)
	d := newDeployment(rendered, 10)
	d.sets = []*replicaSet{{version: 1, replicas: 6}, {version: 2, replicas: 5, available: 5}}
	d.version = 2
	d.scale(10)
	require.Equal(t, 11, d.total(), "nothing is missing: ten, and one of the surge")
	d.scale(20)
	require.Equal(t, 21, d.total())
	require.Greater(t, d.sets[0].replicas, d.sets[1].replicas)
	d.sets = []*replicaSet{{version: 1, replicas: 1}, {version: 2, replicas: 20, available: 20}}
	d.scale(20)
	require.Equal(t, 0, d.sets[0].replicas, "the old version goes when the new one is complete, although it is paused")
}
