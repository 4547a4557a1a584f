package plan

import (
	"slices"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// encounters are what happened to the clients that came to the gateways of a version in the last minute, per second. A
// client of a protocol that identifies itself after the handshake may be both accepted and rejected.
type encounters struct{ accepted, rejected float64 }

// turnAway reports whether the gateways turn most of their clients away.
func (e encounters) turnAway() bool {
	return e.rejected >= fleet.MinRejectRate && e.rejected > e.accepted/2
}

// letIn reports whether the gateways let most of their clients in.
func (e encounters) letIn() bool {
	return e.accepted >= fleet.MinRejectRate && e.rejected <= e.accepted/2
}

// met returns the encounters of each version, by render.AnnotationVersion, and how many clients per second were too
// many at once in all. Gateways that do not answer have none.
func met(gateways []Gateway) (versions map[string]encounters, crowd float64) {
	versions = map[string]encounters{}
	for _, g := range gateways {
		version := g.Pod.Annotations[render.AnnotationVersion]
		sum := versions[version]
		if !g.Stale {
			sum.accepted += valueOf(g.Report.ConnectRate)
			sum.rejected += valueOf(g.Report.RejectRate)
			crowd += valueOf(g.Report.CrowdRate)
		}
		versions[version] = sum
	}
	return versions, crowd
}

func valueOf(rate *float64) float64 {
	if rate == nil {
		return 0
	}
	return *rate
}

// RefusalsMatter reports whether a rollout is under way and gateways refuse clients, so that HoldRollout has to be
// asked again soon.
func RefusalsMatter(r Rollout) bool {
	rolls := r.Deployment != nil && r.Deployment.Status.Replicas > r.Deployment.Status.UpdatedReplicas
	return rolls && slices.ContainsFunc(r.Gateways, func(g Gateway) bool { return fleet.Refuses(g.Report) })
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
	versions, crowd := met(r.Gateways)
	version = r.Deployment.Annotations[render.AnnotationTemplate]
	if version != "" && refuses(r, version, versions) {
		return version, "gateways of the new version turn most of their clients away"
	}
	if crowd >= fleet.MinCrowdRate && slices.ContainsFunc(r.Gateways, Gateway.drains) {
		return "", "more clients come back at once than the gateways accept: lower spec.rollout.maxReconnectsPerSecond, or " +
			"raise spec.gateway.connectRate"
	}
	return "", ""
}

// refuses reports whether the gateways of the new version turn their clients away, and those of another one do not.
func refuses(r Rollout, version string, versions map[string]encounters) bool {
	current, turnAway, letIn, others := versions[version], 0, 0, 0
	for name, other := range versions {
		if name == version {
			continue
		}
		others++
		if other.turnAway() {
			turnAway++
		}
		if other.letIn() {
			letIn++
		}
	}
	switch {
	case others > 0 && turnAway == others:
		// It is not the new version that they do not like.
		return false
	case r.Deployment.Annotations[render.AnnotationRolloutRefused] == version:
		return !current.letIn()
	}
	return current.turnAway() && (letIn > 0 || current.rejected >= strangers*fleet.MinRejectRate)
}
