package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// upFor is a gateway that has run for so many seconds.
func upFor(seconds float64) change {
	return func(_ *corev1.Pod, report *contract.GatewayReport) { report.UptimeSeconds = seconds }
}

// shedUntil is a gateway that sends clients away until so many are left.
func shedUntil(keep int) change {
	return func(pod *corev1.Pod, report *contract.GatewayReport) {
		notReady(pod, report)
		report.State, report.Drain = contract.StateDraining, &contract.DrainReport{Reason: "rebalance", Keep: keep}
	}
}

func drainedByHand(_ *corev1.Pod, report *contract.GatewayReport) { report.Drain.Reason = "admin" }

func lostRedis(_ *corev1.Pod, report *contract.GatewayReport) {
	report.Broker.State = contract.BrokerDegraded
}

// hasShed is a gateway that ended a partial drain so many seconds ago.
func hasShed(secondsAgo float64) change {
	return func(_ *corev1.Pod, report *contract.GatewayReport) {
		report.PartialDrain = &contract.PartialDrainReport{SecondsAgo: secondsAgo, Reached: true}
	}
}

// rebalances turns the rebalance on. All tests move 10 % of the clients per minute.
func rebalances(s *v1alpha1.WebSocketClusterSpec) {
	s.Rebalance.Enabled, s.Rebalance.MaxShedPerMinute = true, new(intstr.FromString("10%"))
}

// availableAt returns a Deployment all of whose gateways have been ready for long enough.
func availableAt(replicas int32) *appsv1.Deployment {
	deployment := settledAt(replicas)
	deployment.Status.AvailableReplicas = replicas
	return deployment
}

func shownRebalance(step plan.RebalanceStep) string {
	text := fmt.Sprintf("%d shed", step.Shedding)
	for _, s := range step.Shed {
		text += fmt.Sprintf(", %s to %d at %.2f/s", s.Gateway.Pod.Name, s.Keep, s.PerSecond)
	}
	for _, g := range step.Restore {
		text += ", restore " + g.Pod.Name
	}
	if step.Waits != "" {
		text += ", waits: " + step.Waits
	}
	return text
}

func TestNextRebalanceStep(t *testing.T) {
	var even, grown, two, shedding simpleFleet
	even = even.with("a", 400, upFor(900)).with("b", 420, upFor(900)).with("c", 380, upFor(30))
	grown = grown.with("a", 800, upFor(900)).with("b", 400, upFor(900)).with("c", 0, upFor(30))
	two = two.with("a", 900, upFor(900)).with("b", 600, upFor(900)).with("c", 0, upFor(30)).with("d", 0, upFor(30))
	shedding = shedding.with("a", 700, upFor(900), shedUntil(400)).with("b", 400, upFor(900)).with("c", 100, upFor(60))
	byHand := simpleFleet{}.with("a", 800, upFor(900)).with("b", 400, upFor(900), shedUntil(100), drainedByHand).
		with("c", 0, upFor(30))
	ended := func(_ *corev1.Pod, report *contract.GatewayReport) {
		report.PartialDrain = &contract.PartialDrainReport{SecondsAgo: 5}
	}
	crashed := func(pod *corev1.Pod, _ *contract.GatewayReport) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: 4}}
	}
	on, off := scaleInSpec(3, rebalances), scaleInSpec(3)
	for _, c := range []struct {
		name       string
		spec       v1alpha1.WebSocketClusterSpec
		deployment *appsv1.Deployment
		fleet      simpleFleet
		want       string
	}{
		{"no gateways", scaleInSpec(0, rebalances), availableAt(0), simpleFleet{}, "0 shed"},
		{"a new fleet", on, nil, simpleFleet{}, "0 shed"},
		{"an even fleet", on, availableAt(3), even, "0 shed"},
		{"a larger fleet", on, availableAt(3), grown, "0 shed, a to 400 at 2.00/s"},
		{"off", off, availableAt(3), grown, "0 shed"},
		{"faster", scaleInSpec(3, rebalances, func(s *v1alpha1.WebSocketClusterSpec) {
			s.Rebalance.MaxShedPerMinute = new(intstr.FromInt32(1200))
		}), availableAt(3), grown, "0 shed, a to 400 at 20.00/s"},
		{"within the budget", scaleInSpec(3, rebalances, func(s *v1alpha1.WebSocketClusterSpec) {
			s.Rebalance.MaxShedPerMinute, s.Rollout.MaxReconnectsPerSecond = new(intstr.FromInt32(60_000)), new(int32(4))
		}), availableAt(3), grown, "0 shed, a to 400 at 4.00/s"},
		{"two at once end together", scaleInSpec(4, rebalances, maxUnavailable(2)), availableAt(4), two,
			"0 shed, a to 375 at 1.75/s, b to 375 at 0.75/s"},
		// Of the 675 that it sheds, b gets 225. So b sheds 450 after it, of which it gets 150.
		{"one at once", scaleInSpec(4, rebalances), availableAt(4), two, "0 shed, a to 225 at 2.50/s"},
		{"one of two stays", scaleInSpec(2, rebalances, maxUnavailable(5)), availableAt(2),
			simpleFleet{}.with("a", 1000, upFor(9)).with("b", 300, upFor(8)), "0 shed, a to 650 at 2.17/s"},
		{"it goes on", on, availableAt(3), shedding, "1 shed"},
		{"turned off", off, availableAt(3), shedding, "0 shed, restore a"},
		{"a rollout comes first", on, &appsv1.Deployment{
			Spec:   appsv1.DeploymentSpec{Replicas: new(int32(3))},
			Status: appsv1.DeploymentStatus{Replicas: 4, UpdatedReplicas: 1, AvailableReplicas: 3},
		}, shedding, "0 shed, restore a, waits: gateways of a new version replace the old ones"},
		{"a scale-in comes first", scaleInSpec(2, rebalances), availableAt(3), shedding,
			"0 shed, restore a, waits: the fleet's size is being changed"},
		{"a drain comes first", on, availableAt(3), simpleFleet{}.with("a", 700, upFor(9), shedUntil(400)).
			with("b", 400, upFor(9), drains(contract.StateDraining)).with("c", 0, upFor(1)),
			"0 shed, restore a, waits: gateway b drains"},
		{"a gateway that goes comes first", on, availableAt(3), simpleFleet{}.with("a", 700, upFor(9), shedUntil(400)).
			with("b", 400, upFor(9), terminates).with("c", 0, upFor(1)).with("d", 0, notReady),
			"0 shed, restore a, waits: gateway b drains"},
		{"all others serve", on, availableAt(3), simpleFleet{}.with("a", 700, upFor(9), shedUntil(400)).
			with("b", 400, upFor(9), notReady).with("c", 0, upFor(1)),
			"0 shed, restore a, waits: gateway b does not serve"},
		{"while Redis is away, clients stay where they are", on, availableAt(3), simpleFleet{}.
			with("a", 800, upFor(900), lostRedis).with("b", 400, upFor(900)).with("c", 0, upFor(30)),
			"0 shed, waits: gateway a has lost Redis"},
		{"the rest stays when Redis goes away", on, availableAt(3), simpleFleet{}.with("a", 700, upFor(9), shedUntil(400)).
			with("b", 400, upFor(9)).with("c", 0, upFor(1), lostRedis),
			"0 shed, restore a, waits: gateway c has lost Redis"},
		{"a small share waits for the large one", scaleInSpec(5, rebalances, maxUnavailable(2),
			func(s *v1alpha1.WebSocketClusterSpec) { s.Rebalance.MaxShedPerMinute = new(intstr.FromInt32(12)) }),
			availableAt(5), simpleFleet{}.with("a", 3300, upFor(900)).with("b", 1210, upFor(900)).with("c", 490, upFor(30)).
				with("d", 0, upFor(30)).with("e", 0, upFor(30)), "0 shed, a to 791 at 0.20/s"},
		{"none is silent", on, availableAt(3), simpleFleet{}.with("a", 800, upFor(900)).with("b", 0, upFor(9)).
			with("c", 0, silent), "0 shed, waits: gateway c does not serve"},
		{"the newest one is ready for long enough", on, settledAt(3), grown, "0 shed"},
		{"it drains by hand", on, availableAt(3), simpleFleet{}.with("a", 800, upFor(9), drains(contract.StateDraining)).
			with("b", 0, upFor(9)).with("c", 0, upFor(1)), "0 shed, waits: gateway a drains"},
		{"chance makes as much", on, availableAt(3), simpleFleet{}.with("a", 30, upFor(9)).with("b", 10, upFor(8)).
			with("c", 5, upFor(1)), "0 shed"},
		{"the newest one keeps what it has", on, availableAt(3), simpleFleet{}.with("a", 0, upFor(900)).
			with("b", 400, upFor(900)).with("c", 800, upFor(30)), "0 shed"},
		{"as new as the newest", on, availableAt(3), simpleFleet{}.with("a", 0, upFor(30)).
			with("b", 400, upFor(30)).with("c", 800, upFor(30)), "0 shed"},
		{"once for each newer one", on, availableAt(3), simpleFleet{}.with("a", 800, upFor(900), hasShed(20)).
			with("b", 400, upFor(900)).with("c", 0, upFor(30)), "0 shed"},
		{"again for the next one", on, availableAt(3), simpleFleet{}.with("a", 800, upFor(900), hasShed(40)).
			with("b", 400, upFor(900)).with("c", 0, upFor(30)), "0 shed, a to 400 at 2.00/s"},
		{"no time to drain", scaleInSpec(3, rebalances, func(s *v1alpha1.WebSocketClusterSpec) {
			s.Drain.Timeout, s.Drain.PropagationDelay = &metav1.Duration{}, &metav1.Duration{}
		}), availableAt(3), grown, "0 shed, waits: at spec.rebalance.maxShedPerMinute not one client could be moved " +
			"in the time that spec.drain.timeout leaves after spec.drain.propagationDelay: raise one of them"},
		{"too little time", scaleInSpec(3, rebalances, func(s *v1alpha1.WebSocketClusterSpec) {
			s.Rebalance.MaxShedPerMinute = new(intstr.FromInt32(1))
		}), availableAt(3), grown, "0 shed, waits: at spec.rebalance.maxShedPerMinute not one client could be moved " +
			"in the time that spec.drain.timeout leaves after spec.drain.propagationDelay: raise one of them"},
		{"a user's own partial drain", off, availableAt(3), byHand, "0 shed"},
		{"a user's own partial drain comes first", on, availableAt(3), byHand, "0 shed, waits: gateway b drains"},
		{"a round that was not over goes on", on, availableAt(3), simpleFleet{}.with("a", 700, upFor(900), ended).
			with("b", 450, upFor(900)).with("c", 50, upFor(90)), "0 shed, a to 400 at 2.00/s"},
		{"not for one that crashes", on, availableAt(3), simpleFleet{}.with("a", 800, upFor(900)).
			with("b", 400, upFor(900)).with("c", 0, upFor(30), crashed), "0 shed"},
		{"of a version that knows no partial drain", on, availableAt(3), simpleFleet{}.with("a", 800).
			with("b", 400, upFor(900)).with("c", 0, upFor(30)), "0 shed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			step := plan.NextRebalanceStep(plan.Rebalance{
				Spec: c.spec, Deployment: c.deployment, Gateways: plan.Gateways(c.fleet.pods, c.fleet.reports, at(0)),
			})
			require.Equal(t, c.want, shownRebalance(step))
		})
	}
}

func TestRebalanceOnRequest(t *testing.T) {
	f := simpleFleet{}.with("a", 0, upFor(900)).with("b", 400, upFor(900)).with("c", 800, upFor(600))
	shed := simpleFleet{}.with("a", 0, upFor(900)).with("b", 400, upFor(900)).with("c", 800, upFor(600), hasShed(60))
	spec := scaleInSpec(3, rebalances, func(s *v1alpha1.WebSocketClusterSpec) { s.Rebalance.Enabled = false })
	for _, c := range []struct {
		asked string
		fleet simpleFleet
		want  string
	}{
		{"", f, "0 shed"},
		{"soon", f, "0 shed"},
		{ago(time.Minute), f, "0 shed, c to 400 at 2.00/s"},
		{ago(time.Minute), simpleFleet{}.with("a", 0, upFor(900)).with("b", 400, upFor(900)).
			with("c", 700, upFor(600), shedUntil(400)), "1 shed"},
		{ago(2 * time.Minute), shed, "0 shed"},
		{ago(30 * time.Second), shed, "0 shed, c to 400 at 2.00/s"},
		{ago(2 * time.Hour), f, "0 shed"},
		{ago(-30 * time.Second), f, "0 shed, c to 400 at 2.00/s"},
		{ago(-2 * time.Minute), f, "0 shed"},
	} {
		step := plan.NextRebalanceStep(plan.Rebalance{
			Spec: spec, Deployment: availableAt(3), Gateways: plan.Gateways(c.fleet.pods, c.fleet.reports, at(0)),
			Requested: plan.RebalanceRequested(c.asked, at(0)),
		})
		require.Equal(t, c.want, shownRebalance(step), c.asked)
	}
}

// ago returns a time before the test's now, as the annotation has it.
func ago(d time.Duration) string { return at(0).Add(-d).UTC().Format(time.RFC3339) }

func TestShedAsText(t *testing.T) {
	f := simpleFleet{}.with("a", 900)
	shed := plan.Shed{Gateway: plan.Gateways(f.pods, f.reports, at(0))[0], Keep: 400, PerSecond: 100}
	require.Equal(t, "gateway a sends 500 of its 900 clients to the others, 100 per second", shed.String())
	shed.PerSecond = 0.8333
	require.Equal(t, "gateway a sends 500 of its 900 clients to the others, 0.83 per second", shed.String())
}

// A scale-in leaves a gateway alone that only sends a part of its clients away, and so do a rollout and evictions.
func TestGatewayThatShedsStays(t *testing.T) {
	f := simpleFleet{}.with("a", 700, upFor(900), shedUntil(400)).with("b", 100, upFor(900)).with("c", 400, upFor(60))
	gateways := plan.Gateways(f.pods, f.reports, at(0))
	require.Zero(t, plan.Draining(gateways))
	require.Equal(t, 2, plan.Serving(gateways), "it takes no new clients")
	require.Equal(t, "b", plan.Victims(gateways, 1)[0].Gateway.Pod.Name)
	require.Empty(t, plan.HoldEvictions(scaleInSpec(3), gateways))
	require.Empty(t, plan.Paces(scaleInSpec(3), gateways))
	require.Empty(t, plan.DrainMarks(f.pods, f.reports))
	step := plan.NextScaleInStep(plan.ScaleIn{
		Spec: scaleInSpec(2), Deployment: settledAt(3), Gateways: gateways, Now: at(0),
	})
	require.Equal(t, "size 3, drain b until 60, 1 drain", shown(step))
}
