package plan_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// rollsOut returns a Deployment of three gateways that is being replaced.
func rollsOut(exist, updated int32, changes ...func(*appsv1.Deployment)) *appsv1.Deployment {
	deployment := settledAt(3)
	deployment.Status.Replicas, deployment.Status.UpdatedReplicas = exist, updated
	deployment.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxSurge: new(intstr.FromInt32(1))}
	for _, change := range changes {
		change(deployment)
	}
	return deployment
}

func surgeOf(n int32) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Spec.Strategy.RollingUpdate.MaxSurge = new(intstr.FromInt32(n)) }
}

func TestHoldRollout(t *testing.T) {
	const oneDrains = "gateways that drain already: 1, and spec.disruption.maxUnavailable allows 1"
	goes := simpleFleet{}.with("a", 300).with("b", 200).with("new", 0).with("gone", 40, terminates, drains("draining"))
	slow := func(s *v1alpha1.WebSocketClusterSpec) { s.Rollout.MaxReconnectsPerSecond = new(int32(10)) }
	unobserved := func(d *appsv1.Deployment) { d.Generation = 2 }
	for _, c := range []struct {
		name       string
		spec       v1alpha1.WebSocketClusterSpec
		deployment *appsv1.Deployment
		fleet      simpleFleet
		want       string
	}{
		{"no Deployment", scaleInSpec(3), nil, goes, ""},
		{"no rollout", scaleInSpec(3), settledAt(3), goes, ""},
		{"one drains", scaleInSpec(3), rollsOut(4, 2), goes, oneDrains},
		{"one drains, and the last one is to go", scaleInSpec(3), rollsOut(4, 3), goes, oneDrains},
		{"none drains", scaleInSpec(3), rollsOut(4, 1), simpleFleet{}.with("a", 300).with("b", 200).with("c", 1), ""},
		{"it has drained", scaleInSpec(3), rollsOut(4, 2),
			simpleFleet{}.with("a", 300).with("gone", 0, terminates, drains(contract.StateDrained)), ""},
		{"it is lost with its node", scaleInSpec(3), rollsOut(4, 2), simpleFleet{}.with("a", 300).with("gone", 5, lost), ""},
		{"one may drain beside it", scaleInSpec(3, maxUnavailable(2)), rollsOut(4, 2), goes, ""},
		{"but not with so many clients", scaleInSpec(3, maxUnavailable(2), slow), rollsOut(4, 2),
			simpleFleet{}.with("a", 480).with("b", 200).with("gone", 40, terminates, drains("draining")),
			"gateways that drain already: 1, and drains may send 10 clients per second to the others"},
		{"with fewer it may", scaleInSpec(3, maxUnavailable(2), slow), rollsOut(4, 2),
			simpleFleet{}.with("a", 450).with("b", 200).with("gone", 40, terminates, drains("draining")), ""},
		{"one is lost with its node", scaleInSpec(3), rollsOut(4, 2),
			simpleFleet{}.with("a", 300).with("gone", 0, onDeadNode, terminates), ""},
		{"Kubernetes would take two, and one drains", scaleInSpec(3, maxUnavailable(2)), rollsOut(5, 2, surgeOf(2)), goes,
			"gateways that drain already: 1, and spec.disruption.maxUnavailable allows 2"},
		{"Kubernetes would take two, and none drains", scaleInSpec(3, maxUnavailable(2)), rollsOut(5, 2, surgeOf(2)),
			simpleFleet{}.with("a", 300), ""},
		{"Kubernetes would take the last one, and one drains", scaleInSpec(3, maxUnavailable(2)),
			rollsOut(5, 4, surgeOf(2)), goes, ""},
		{"Kubernetes would take two below its size", scaleInSpec(3, maxUnavailable(2)),
			rollsOut(4, 1, func(d *appsv1.Deployment) {
				d.Spec.Strategy.RollingUpdate.MaxUnavailable = new(intstr.FromInt32(1))
			}), goes, "gateways that drain already: 1, and spec.disruption.maxUnavailable allows 2"},
		{"two have more clients than the budget", scaleInSpec(3, maxUnavailable(9), slow), rollsOut(5, 2, surgeOf(2)),
			simpleFleet{}.with("a", 240).with("gone", 40, terminates, drains("draining")),
			"gateways that drain already: 1, and drains may send 10 clients per second to the others"},
		{"two have not", scaleInSpec(3, maxUnavailable(9), slow), rollsOut(5, 2, surgeOf(2)),
			simpleFleet{}.with("a", 230).with("gone", 40, terminates, drains("draining")), ""},
		{"one that drains by hand counts", scaleInSpec(3), rollsOut(4, 2),
			simpleFleet{}.with("a", 300).with("b", 1, drains("draining")), oneDrains},
		{"a pod is missing, and Kubernetes would create one of the old version", scaleInSpec(3), rollsOut(3, 1), goes, ""},
		{"all are replaced", scaleInSpec(3), rollsOut(3, 3), goes, ""},
		{"the change is not observed yet", scaleInSpec(3), rollsOut(4, 2, unobserved), goes, ""},
		{"the pause is not observed yet", scaleInSpec(3),
			rollsOut(4, 2, unobserved, func(d *appsv1.Deployment) { d.Spec.Paused = true }), goes, oneDrains},
		{"without a surge", scaleInSpec(3), rollsOut(3, 1, func(d *appsv1.Deployment) {
			d.Spec.Strategy.RollingUpdate.MaxSurge = new(intstr.FromInt32(0))
		}), goes, oneDrains},
		{"with a surge of a third", scaleInSpec(3), rollsOut(4, 2, func(d *appsv1.Deployment) {
			d.Spec.Strategy.RollingUpdate.MaxSurge = new(intstr.FromString("30%"))
		}), goes, oneDrains},
	} {
		t.Run(c.name, func(t *testing.T) {
			hold := plan.HoldRollout(plan.Rollout{
				Spec: c.spec, Deployment: c.deployment, Gateways: plan.Gateways(c.fleet.pods, c.fleet.reports, at(0)),
			})
			assert.Equal(t, c.want, hold.Why)
			assert.Equal(t, c.want != "" && c.deployment.Status.UpdatedReplicas == 3, hold.Last)
		})
	}
}

// closes is a gateway that drains, at a number of connections per second.
func closes(perSecond float64) change {
	return func(pod *corev1.Pod, report *contract.GatewayReport) {
		drains(contract.StateDraining)(pod, report)
		report.Drain.ClosesPerSecond = perSecond
	}
}

func TestPaces(t *testing.T) {
	budget := func(n int32) func(*v1alpha1.WebSocketClusterSpec) {
		return func(s *v1alpha1.WebSocketClusterSpec) { s.Rollout.MaxReconnectsPerSecond = &n }
	}
	for _, c := range []struct {
		name  string
		spec  v1alpha1.WebSocketClusterSpec
		fleet simpleFleet
		want  string
	}{
		{"none drains", scaleInSpec(2), simpleFleet{}.with("a", 10), ""},
		{"one has the budget", scaleInSpec(2, budget(40)), simpleFleet{}.with("a", 10).with("b", 100, closes(2)), "b 40 "},
		{"by default half of what the others accept", scaleInSpec(2),
			simpleFleet{}.with("a", 10).with("c", 10).with("b", 100, closes(2)), "b 500 "},
		{"those that serve are gone, so each has its own", scaleInSpec(0), simpleFleet{}.
			with("b", 9000, closes(30), terminates).with("c", 9000, closes(30), terminates), ""},
		{"no more than a gateway takes", scaleInSpec(2, func(s *v1alpha1.WebSocketClusterSpec) {
			s.Gateway.ConnectRate = new(int32(1_000_000))
		}), simpleFleet{}.with("a", 1).with("c", 1).with("d", 1).with("b", 100, closes(2)), "b 1000000 "},
		{"one that has not begun takes none of it", scaleInSpec(2, budget(40)),
			simpleFleet{}.with("a", 10).with("b", 100, closes(2)).with("c", 300, markedUntil(50)), "b 40 "},
		{"a lower maximum reaches gateways that drain", scaleInSpec(2, budget(40), func(s *v1alpha1.WebSocketClusterSpec) {
			s.Drain.MaxClosesPerSecond = new(int32(3))
		}), simpleFleet{}.with("a", 10).with("b", 100, closes(10)), "b 3 "},
		{"it has it already", scaleInSpec(2, budget(40)), simpleFleet{}.with("a", 10).with("b", 100, closes(47)), ""},
		{"more or less", scaleInSpec(2, budget(40)), simpleFleet{}.with("a", 10).with("b", 100, closes(33)), ""},
		{"two share it by their clients", scaleInSpec(2, budget(40)), simpleFleet{}.with("a", 10).
			with("b", 300, closes(40)).with("c", 100, closes(2), terminates), "b 30 c 10 "},
		{"each has one at least", scaleInSpec(2, budget(2)), simpleFleet{}.with("a", 10).
			with("b", 900, closes(40)).with("c", 10, closes(40)), "b 2 c 1 "},
		{"the fleet's maximum holds it", scaleInSpec(2, budget(40), func(s *v1alpha1.WebSocketClusterSpec) {
			s.Drain.MaxClosesPerSecond = new(int32(3))
		}), simpleFleet{}.with("a", 10).with("b", 100, closes(3)), ""},
		{"without a limit of what gateways accept, each has its own", scaleInSpec(2, func(s *v1alpha1.WebSocketClusterSpec) {
			s.Gateway.ConnectRate = new(int32)
		}), simpleFleet{}.with("a", 10).with("b", 100, closes(2)), ""},
		{"an older version says no pace", scaleInSpec(2, budget(40)),
			simpleFleet{}.with("a", 10).with("b", 100, closes(0)), ""},
		{"one that terminates and has not begun", scaleInSpec(2, budget(40)),
			simpleFleet{}.with("a", 10).with("b", 100, terminates), ""},
		{"one without clients", scaleInSpec(2, budget(40)),
			simpleFleet{}.with("a", 10).with("b", 0, closes(9)).with("c", 5, closes(9)), "c 40 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := ""
			for _, pace := range plan.Paces(c.spec, plan.Gateways(c.fleet.pods, c.fleet.reports, at(0))) {
				text += fmt.Sprintf("%s %d ", pace.Gateway.Pod.Name, pace.PerSecond)
			}
			assert.Equal(t, c.want, text)
		})
	}
}

func TestRolloutSecondsLeft(t *testing.T) {
	three := simpleFleet{}.with("a", 300).with("b", 300).with("c", 300)
	slow := func(s *v1alpha1.WebSocketClusterSpec) { s.Rollout.MaxReconnectsPerSecond = new(int32(10)) }
	for _, c := range []struct {
		name       string
		spec       v1alpha1.WebSocketClusterSpec
		deployment *appsv1.Deployment
		want       int64
	}{
		{"none", scaleInSpec(3), settledAt(3), 0},
		{"no Deployment", scaleInSpec(3), nil, 0},
		{"20 s ready and 10 s to start", scaleInSpec(3), rollsOut(3, 0), 90},
		{"two are left", scaleInSpec(3), rollsOut(3, 1), 60},
		{"two at once", scaleInSpec(3, maxUnavailable(2)), rollsOut(3, 0), 45},
		{"300 clients at 10 a second, after 10 s", scaleInSpec(3, slow), rollsOut(3, 0), 120},
		{"at most the drain", scaleInSpec(3, func(s *v1alpha1.WebSocketClusterSpec) {
			s.Rollout.MaxReconnectsPerSecond = new(int32(1))
		}), rollsOut(3, 0), 180},
		{"spread over the drain", scaleInSpec(3, func(s *v1alpha1.WebSocketClusterSpec) {
			s.Gateway.ConnectRate = new(int32)
		}), rollsOut(3, 0), 180},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, plan.RolloutSecondsLeft(plan.Rollout{
				Spec: c.spec, Deployment: c.deployment, Gateways: plan.Gateways(three.pods, three.reports, at(0)),
			}))
		})
	}
}

// Clients cannot be sent to gateways that do not answer, unless the operator hears of none.
func TestPacesCountGatewaysThatAnswer(t *testing.T) {
	spec := scaleInSpec(3, func(s *v1alpha1.WebSocketClusterSpec) { s.Gateway.ConnectRate = new(int32(20)) })
	pace := func(f simpleFleet) int {
		paces := plan.Paces(spec, plan.Gateways(f.pods, f.reports, at(0)))
		if assert.Len(t, paces, 1) {
			return paces[0].PerSecond
		}
		return 0
	}
	three := func() simpleFleet { return simpleFleet{}.with("a", 10).with("b", 10).with("c", 100, closes(2)) }
	assert.Equal(t, 20, pace(three()))
	assert.Equal(t, 10, pace(three().stale("a")))
	assert.Equal(t, 20, pace(three().stale("a").stale("b")))
}

// A gateway that does not answer would hold up each reconcile until the request times out.
func TestPacesLeavesSilentGatewaysAlone(t *testing.T) {
	f := simpleFleet{}.with("a", 10).with("b", 100, closes(2))
	silentOne := f.reports.Gateways["b"]
	silentOne.Stale = true
	f.reports.Gateways["b"] = silentOne
	assert.Empty(t, plan.Paces(scaleInSpec(2), plan.Gateways(f.pods, f.reports, at(0))))
}

// A Deployment that the operator has paused is one whose rollout is under way.
func TestRolloutUnderwayWhileHeld(t *testing.T) {
	paused := rollsOut(4, 2, func(d *appsv1.Deployment) { d.Spec.Paused = true })
	assert.False(t, plan.RolloutUnderway(paused, nil, metav1.Time{}), "another client did")
	paused.Annotations = map[string]string{"wsfleet.dev/rollout-held": "true"}
	assert.True(t, plan.RolloutUnderway(paused, nil, metav1.Time{}))
	paused.Annotations["wsfleet.dev/rollout-refused"] = "a version"
	assert.False(t, plan.RolloutUnderway(paused, nil, metav1.Time{}), "other fleets do not wait for its user")
}
