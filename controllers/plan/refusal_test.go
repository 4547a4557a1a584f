package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// met is a gateway of a version that clients have come to in the last minute.
func met(version string, accepted, rejected, crowd float64) change {
	return func(pod *corev1.Pod, report *contract.GatewayReport) {
		setAnnotation(pod, render.AnnotationVersion, version)
		report.ConnectRate, report.RejectRate, report.CrowdRate = &accepted, &rejected, &crowd
	}
}

// stale is a gateway that left the latest scrape unanswered.
func (f simpleFleet) stale(name string) simpleFleet {
	for uid, gateway := range f.reports.Gateways {
		if string(uid) == name {
			gateway.Stale = true
			f.reports.Gateways[uid] = gateway
		}
	}
	return f
}

func TestHoldRolloutThatTurnsClientsAway(t *testing.T) {
	const (
		turnedAway = "gateways of the new version turn most of their clients away"
		crowded    = "more clients come back at once than the gateways accept: " +
			"lower spec.rollout.maxReconnectsPerSecond, or raise spec.gateway.connectRate"
		drains = "gateways that drain already: 1, and spec.disruption.maxUnavailable allows 1"
	)
	to := func(version string) func(*appsv1.Deployment) {
		return func(d *appsv1.Deployment) { d.Annotations = map[string]string{render.AnnotationTemplate: version} }
	}
	known := func(version string) func(*appsv1.Deployment) {
		return func(d *appsv1.Deployment) { d.Annotations[render.AnnotationRolloutRefused] = version }
	}
	goesOn := func(s *v1alpha1.WebSocketClusterSpec) { s.Rollout.RefusalPolicy = v1alpha1.RefusalContinue }
	old := func() simpleFleet {
		return simpleFleet{}.with("a", 300, met("v1", 1, 0, 0)).with("b", 300, met("v1", 0, 0, 0))
	}
	for _, c := range []struct {
		name       string
		spec       v1alpha1.WebSocketClusterSpec
		deployment *appsv1.Deployment
		fleet      simpleFleet
		want       plan.Hold
	}{
		{"clients are let in", scaleInSpec(3), rollsOut(4, 1, to("v2")),
			old().with("new", 90, met("v2", 5, 1, 0)), plan.Hold{}},
		{"none has come", scaleInSpec(3), rollsOut(4, 1, to("v2")), old().with("new", 0, met("v2", 0, 0, 0)), plan.Hold{}},
		{"none is let in", scaleInSpec(3), rollsOut(4, 1, to("v2")), old().with("new", 0, met("v2", 0, 3, 0)),
			plan.Hold{Why: turnedAway, Refused: "v2"}},
		{"none is let in after the handshake", scaleInSpec(3), rollsOut(4, 1, to("v2")),
			old().with("new", 9, met("v2", 3, 3, 0)), plan.Hold{Why: turnedAway, Refused: "v2"}},
		{"before the last ones of the old version", scaleInSpec(3), rollsOut(4, 3, to("v2")),
			old().with("new", 9, met("v2", 3, 3, 0)), plan.Hold{Why: turnedAway, Refused: "v2", Last: true}},
		{"a few are not", scaleInSpec(3), rollsOut(4, 1, to("v2")), old().with("new", 0, met("v2", 0, 0.04, 0)), plan.Hold{}},
		{"one of two lets them in", scaleInSpec(3), rollsOut(4, 2, to("v2")),
			old().with("new", 0, met("v2", 0, 3, 0)).with("newer", 50, met("v2", 7, 0, 0)), plan.Hold{}},
		{"the old version turns them away too", scaleInSpec(3), rollsOut(4, 1, to("v2")),
			simpleFleet{}.with("a", 300, met("v1", 1, 8, 0)).with("new", 0, met("v2", 0, 3, 0)), plan.Hold{}},
		{"also the old version alone", scaleInSpec(3), rollsOut(4, 1, to("v2")),
			simpleFleet{}.with("a", 300, met("v1", 1, 8, 0)).with("new", 5, met("v2", 3, 0, 0)), plan.Hold{}},
		{"it is as the user wants it", scaleInSpec(3, goesOn), rollsOut(4, 1, to("v2"), known("v2")),
			old().with("new", 0, met("v2", 0, 3, 9)), plan.Hold{}},
		{"nobody comes any more", scaleInSpec(3), rollsOut(4, 1, to("v2"), known("v2")),
			old().with("new", 0, met("v2", 0, 0, 0)), plan.Hold{Why: turnedAway, Refused: "v2"}},
		{"some are let in again", scaleInSpec(3), rollsOut(4, 1, to("v2"), known("v2")),
			old().with("new", 7, met("v2", 0.3, 0.1, 0)), plan.Hold{}},
		{"the spec has changed", scaleInSpec(3), rollsOut(4, 0, to("v3"), known("v2")),
			old().with("new", 0, met("v2", 0, 3, 0)), plan.Hold{}},
		{"the spec has changed back", scaleInSpec(3), rollsOut(4, 3, to("v1"), known("v2")),
			old().with("new", 0, met("v2", 0, 3, 0)), plan.Hold{}},
		{"a pod is missing, and Kubernetes creates one of the old version", scaleInSpec(3),
			rollsOut(3, 0, to("v2"), known("v2")), old(), plan.Hold{Why: turnedAway, Refused: "v2"}},
		{"it does not answer", scaleInSpec(3), rollsOut(4, 1, to("v2")),
			old().with("new", 0, met("v2", 0, 3, 0)).stale("new"), plan.Hold{}},
		{"an operator of an older version made the Deployment", scaleInSpec(3), rollsOut(4, 1),
			old().with("new", 0, met("", 0, 3, 0)), plan.Hold{}},
		{"gateways of an older version do not report it", scaleInSpec(3), rollsOut(4, 1, to("v2")),
			old().with("new", 0, func(pod *corev1.Pod, _ *contract.GatewayReport) {
				setAnnotation(pod, render.AnnotationVersion, "v2")
			}), plan.Hold{}},
		{"no rollout", scaleInSpec(3), settledAt(3), old().with("new", 0, met("v2", 0, 3, 5)), plan.Hold{}},
		{"too many come at once", scaleInSpec(3, maxUnavailable(2)), rollsOut(4, 1, to("v2")),
			simpleFleet{}.with("a", 300, met("v1", 200, 0, 0.6)).with("new", 5, met("v2", 100, 0, 0.4)).
				with("gone", 1, terminates), plan.Hold{Why: crowded}},
		{"too many come, and none drains", scaleInSpec(3, maxUnavailable(2)), rollsOut(4, 1, to("v2")),
			simpleFleet{}.with("a", 300, met("v1", 200, 0, 0.6)).with("new", 5, met("v2", 100, 0, 0.4)), plan.Hold{}},
		{"a few wait", scaleInSpec(3, maxUnavailable(2)), rollsOut(4, 1, to("v2")),
			simpleFleet{}.with("a", 300, met("v1", 200, 0, 0.6)).with("new", 5, met("v2", 100, 0, 0.3)).
				with("gone", 1, terminates), plan.Hold{}},
		{"a second version turns them away as well", scaleInSpec(3), rollsOut(4, 1, to("v3"), known("v2")),
			old().with("bad", 0, met("v2", 0, 3, 0)).with("worse", 0, met("v3", 0, 3, 0)),
			plan.Hold{Why: turnedAway, Refused: "v3"}},
		{"a second version lets them in", scaleInSpec(3), rollsOut(4, 1, to("v3"), known("v2")),
			old().with("bad", 0, met("v2", 0, 3, 0)).with("good", 0, met("v3", 3, 0, 0)), plan.Hold{}},
		{"one stranger on a quiet fleet", scaleInSpec(3), rollsOut(4, 1, to("v2")),
			simpleFleet{}.with("a", 300, met("v1", 0, 0, 0)).with("new", 0, met("v2", 0, 0.06, 0)), plan.Hold{}},
		{"many on a quiet fleet", scaleInSpec(3), rollsOut(4, 1, to("v2")),
			simpleFleet{}.with("a", 300, met("v1", 0, 0, 0)).with("new", 0, met("v2", 0, 0.2, 0)),
			plan.Hold{Why: turnedAway, Refused: "v2"}},
		{"three, while the others let theirs in", scaleInSpec(3), rollsOut(4, 1, to("v2")),
			old().with("new", 0, met("v2", 0, 0.05, 0)), plan.Hold{Why: turnedAway, Refused: "v2"}},
		{"all turn them away in the end", scaleInSpec(3), rollsOut(4, 1, to("v2"), known("v2")),
			simpleFleet{}.with("a", 300, met("v1", 1, 8, 0)).with("new", 0, met("v2", 0, 3, 0)), plan.Hold{}},
		{"and one drains", scaleInSpec(3), rollsOut(4, 1, to("v2")),
			simpleFleet{}.with("a", 300, met("v1", 200, 0, 0)).with("b", 3, terminates), plan.Hold{Why: drains}},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, plan.HoldRollout(plan.Rollout{
				Spec: c.spec, Deployment: c.deployment, Gateways: plan.Gateways(c.fleet.pods, c.fleet.reports, at(0)),
			}))
		})
	}
}

func TestRefusalsMatter(t *testing.T) {
	for _, c := range []struct {
		name       string
		deployment *appsv1.Deployment
		fleet      simpleFleet
		want       bool
	}{
		{"clients are turned away in a rollout", rollsOut(4, 1), simpleFleet{}.with("a", 1, met("", 0, 0.05, 0)), true},
		{"too many come at once in a rollout", rollsOut(4, 1), simpleFleet{}.with("a", 1, met("", 0, 0, 1)), true},
		{"a few are", rollsOut(4, 1), simpleFleet{}.with("a", 1, met("", 0, 0.04, 0.9)), false},
		{"no rollout", settledAt(3), simpleFleet{}.with("a", 1, met("", 0, 5, 5)), false},
		{"no Deployment", nil, simpleFleet{}.with("a", 1, met("", 0, 5, 5)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, plan.RefusalsMatter(plan.Rollout{
				Spec: scaleInSpec(3), Deployment: c.deployment,
				Gateways: plan.Gateways(c.fleet.pods, c.fleet.reports, at(0)),
			}))
		})
	}
}
