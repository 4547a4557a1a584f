package plan

import (
	"slices"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// encounters are what happened to the clients that came to some gateways in the last minute, per second.
type encounters struct{ accepted, rejected, crowd float64 }

// meet returns the encounters of the gateways that is returns true for. A client of a protocol that identifies itself
// after the handshake may be both accepted and rejected.
func meet(gateways []Gateway, is func(Gateway) bool) encounters {
	var sum encounters
	for _, g := range gateways {
		if g.Stale || !is(g) {
			continue
		}
		sum.accepted += valueOf(g.Report.ConnectRate)
		sum.rejected += valueOf(g.Report.RejectRate)
		sum.crowd += valueOf(g.Report.CrowdRate)
	}
	return sum
}

// RefusalsMatter reports whether a rollout is under way and gateways refuse clients, so that HoldRollout has to be
// asked again soon.
func RefusalsMatter(r Rollout) bool {
	rolls := r.Deployment != nil && r.Deployment.Status.Replicas > r.Deployment.Status.UpdatedReplicas
	return rolls && slices.ContainsFunc(r.Gateways, func(g Gateway) bool {
		return fleet.Gateway{Report: g.Report}.Refuses()
	})
}

func valueOf(rate *float64) float64 {
	if rate == nil {
		return 0
	}
	return *rate
}

// turnAway reports whether the gateways turn most of their clients away.
func (e encounters) turnAway() bool {
	return e.rejected >= fleet.MinRejectRate && e.rejected > e.accepted/2
}

// letIn reports whether the gateways let most of their clients in.
func (e encounters) letIn() bool {
	return e.accepted >= fleet.MinRejectRate && e.rejected <= e.accepted/2
}

// strangers is how many times fleet.MinRejectRate gateways turn away before it counts while no other gateway is known
// to let clients in: on a quiet fleet, one client that comes again and again may be all there is.
const strangers = 4

// refusal returns why clients do not come back in a rollout, or "". version is that of the gateways that turn them away
// where those of another version do not, such as with a wrong key of tokens: each further gateway of that version would
// cut more users off. That stays true until they let clients in, or the spec has changed: without clients it is not
// known.
func refusal(r Rollout) (version, why string) {
	if r.Spec.Rollout.RefusalPolicy == v1alpha1.RefusalContinue {
		return "", ""
	}
	current := meet(r.Gateways, func(g Gateway) bool { return g.isOf(r.Deployment) })
	othersDo, othersLetIn := others(r)
	version = r.Deployment.Annotations[render.AnnotationTemplate]
	known := version != "" && r.Deployment.Annotations[render.AnnotationRolloutRefused] == version
	sure := othersLetIn || current.rejected >= strangers*fleet.MinRejectRate
	drains := slices.ContainsFunc(r.Gateways, Gateway.drains)
	crowd := meet(r.Gateways, func(Gateway) bool { return true }).crowd
	switch {
	case othersDo:
		// It is not the new version that they do not like.
	case known && !current.letIn(), current.turnAway() && sure:
		return version, "gateways of the new version turn most of their clients away"
	case drains && crowd >= fleet.MinCrowdRate:
		return "", "more clients come back at once than the gateways accept: lower spec.rollout.maxReconnectsPerSecond, or " +
			"raise spec.gateway.connectRate"
	}
	return "", ""
}

// others reports whether the gateways of every other version turn most of their clients away, and whether those of one
// let most of them in.
func others(r Rollout) (turnAway, letIn bool) {
	versions := map[string]bool{}
	for _, g := range r.Gateways {
		if !g.isOf(r.Deployment) {
			versions[g.Pod.Annotations[render.AnnotationVersion]] = true
		}
	}
	turnAway = len(versions) > 0
	for version := range versions {
		met := meet(r.Gateways, func(g Gateway) bool {
			return !g.isOf(r.Deployment) && g.Pod.Annotations[render.AnnotationVersion] == version
		})
		turnAway, letIn = turnAway && met.turnAway(), letIn || met.letIn()
	}
	return turnAway, letIn
}
