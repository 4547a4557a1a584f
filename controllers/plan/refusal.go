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

// refusal returns why clients do not come back in a rollout, or "". version is that of the gateways that turn them away
// where those of the old version do not, such as with a wrong key of tokens: each further gateway of that version would
// cut more users off. That stays true until they let clients in, or the spec has changed: without clients it is not
// known.
func refusal(r Rollout) (version, why string) {
	if r.Spec.Rollout.RefusalPolicy == v1alpha1.RefusalContinue {
		return "", ""
	}
	isNew := func(g Gateway) bool { return g.isOf(r.Deployment) }
	current := meet(r.Gateways, isNew)
	before := meet(r.Gateways, func(g Gateway) bool { return !isNew(g) })
	version = r.Deployment.Annotations[render.AnnotationTemplate]
	known := version != "" && r.Deployment.Annotations[render.AnnotationRolloutRefused] == version
	switch {
	case known && !current.letIn(), current.turnAway() && !before.turnAway():
		return version, "gateways of the new version turn most of their clients away"
	case current.crowd+before.crowd >= fleet.MinCrowdRate:
		return "", "more clients come back at once than the gateways accept: raise spec.gateway.connectRate, or lower " +
			"spec.rollout.maxReconnectsPerSecond"
	}
	return "", ""
}
