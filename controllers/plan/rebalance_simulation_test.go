package plan_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// simulatedGateway is a gateway of a simulated rebalance. Times are in seconds of the simulation.
type simulatedGateway struct {
	name        string
	started     int
	connections int
	// keep, rate and until are those of a partial drain, while keep is not 0.
	keep, until int
	rate        float64
	// lastEnd is when the last partial drain had closed all that it was to, or 0.
	lastEnd int
}

// rebalanceSimulation is a fleet in which clients go to gateways at random, or many of them to the same one, as those
// behind one address do with an affinity.
type rebalanceSimulation struct {
	random   *rand.Rand
	spec     v1alpha1.WebSocketClusterSpec
	gateways []*simulatedGateway
	now      int
	names    int
	// together is how many clients that come back find the same gateway.
	together int
	// moved is the number of clients that were sent away since the newest gateway started.
	moved int
}

func (s *rebalanceSimulation) start() {
	s.names++
	s.gateways = append(s.gateways, &simulatedGateway{name: fmt.Sprintf("g%d", s.names), started: s.now})
	s.spec.Replicas = new(int32(len(s.gateways)))
	s.moved = 0
}

func (s *rebalanceSimulation) total() int {
	sum := 0
	for _, g := range s.gateways {
		sum += g.connections
	}
	return sum
}

// connect lets n clients come.
func (s *rebalanceSimulation) connect(n int) {
	ready := slices.DeleteFunc(slices.Clone(s.gateways), func(g *simulatedGateway) bool { return g.keep > 0 })
	for n > 0 {
		block := min(n, s.together)
		ready[s.random.IntN(len(ready))].connections += block
		n -= block
	}
}

// observed returns what the planner sees.
func (s *rebalanceSimulation) observed() plan.Rebalance {
	var f simpleFleet
	for _, g := range s.gateways {
		changes := []change{upFor(float64(s.now - g.started + 1)), func(_ *corev1.Pod, r *contract.GatewayReport) {
			r.MaxConnections = 1_000_000
		}}
		if g.keep > 0 {
			changes = append(changes, shedUntil(g.keep))
		}
		if g.lastEnd > 0 {
			changes = append(changes, hasShed(float64(s.now-g.lastEnd)))
		}
		f = f.with(g.name, g.connections, changes...)
	}
	return plan.Rebalance{
		Spec: s.spec, Deployment: availableAt(*s.spec.Replicas), Gateways: plan.Gateways(f.pods, f.reports, at(int64(s.now))),
	}
}

// step plans, carries the step out, and lets five seconds pass. It returns whether anything went on.
func (s *rebalanceSimulation) step(t *testing.T) bool {
	t.Helper()
	step := plan.NextRebalanceStep(s.observed())
	for _, shed := range step.Shed {
		g := s.gateways[slices.IndexFunc(s.gateways, func(g *simulatedGateway) bool {
			return g.name == shed.Gateway.Pod.Name
		})]
		require.Positive(t, shed.Keep)
		require.Less(t, shed.Keep, g.connections)
		g.keep, g.rate, g.until = shed.Keep, shed.PerSecond, s.now+int(s.spec.Drain.Timeout.Seconds())
	}
	shedding, going := 0, 0
	for _, g := range s.gateways {
		if g.keep == 0 {
			continue
		}
		shedding++
		n := min(g.connections-g.keep, int(math.Ceil(5*g.rate)))
		g.connections -= n
		going += n
	}
	require.LessOrEqual(t, shedding, max(1, min(int(s.spec.Disruption.MaxUnavailable.IntVal), len(s.gateways)-1)))
	s.now += 5
	s.moved += going
	s.connect(going)
	for _, g := range s.gateways {
		if g.keep > 0 && (g.connections <= g.keep || s.now >= g.until) {
			if g.connections <= g.keep {
				g.lastEnd = s.now
			}
			g.keep = 0
		}
	}
	return len(step.Shed) > 0 || shedding > 0
}

// rest lets time pass until the planner has nothing to do.
func (s *rebalanceSimulation) rest(t *testing.T) {
	t.Helper()
	for range 20_000 {
		if !s.step(t) {
			return
		}
	}
	require.Fail(t, "the rebalance does not end")
}

// A rebalance ends whatever clients do, moves each client about once for each new gateway, and, where clients choose
// their gateways independently, leaves none with far more than its share.
func TestRebalanceInvariants(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			s := &rebalanceSimulation{random: random, together: []int{1, 1, 50, 1 << 20}[random.IntN(4)]}
			s.spec = scaleInSpec(1, rebalances, maxUnavailable(int32(1+random.IntN(3))))
			s.start()
			s.connect(random.IntN(5000))
			for range 12 {
				s.now += 60
				if random.IntN(3) > 0 || len(s.gateways) < 3 {
					s.start()
				} else {
					gone := random.IntN(len(s.gateways))
					lost := s.gateways[gone].connections
					s.gateways = slices.Delete(s.gateways, gone, gone+1)
					s.start()
					s.connect(lost)
				}
				s.rest(t)
				require.LessOrEqual(t, s.moved, 2*s.total(), "clients moved for one gateway")
				average := float64(s.total()) / float64(len(s.gateways))
				for _, g := range s.gateways[:len(s.gateways)-1] {
					if s.together == 1 {
						require.LessOrEqual(t, float64(g.connections), average+max(0.5*average, 8*math.Sqrt(average)), g.name)
					}
				}
			}
		})
	}
}
