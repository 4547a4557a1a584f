package plan

import (
	"fmt"
	"math"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// Rollout is what is observed of a fleet whose gateways are being replaced.
type Rollout struct {
	// Spec has its defaults set, and the fleet's desired size.
	Spec v1alpha1.WebSocketClusterSpec
	// Deployment is the gateways' Deployment, or nil when there is none.
	Deployment *appsv1.Deployment
	Gateways   []Gateway
}

// Hold keeps a rollout as it is. The zero value is none.
type Hold struct {
	// Why says why no further gateway is to be replaced now. It is empty for none.
	Why string
	// Refused is the version whose gateways turn their clients away, as render.AnnotationVersion has it, or empty. It is
	// kept in the Deployment, and ends a hold only when clients were accepted.
	Refused string
	// Last reports that all gateways of the new version exist. Kubernetes deletes the last ones of the old version as soon
	// as those are available, although the Deployment is paused (1.37.2, pkg/controller/deployment/sync.go, scale). So
	// they must not become available meanwhile.
	Last bool
}

// HoldRollout returns whether no further gateway of the old version must be deleted now. Kubernetes does not count the
// gateways that still drain, and would replace one after the other: all of a fleet could drain at once. The reconciler
// pauses the Deployment meanwhile.
//
// A Deployment is held only when it has the pods that it may have above its size. Kubernetes fills up one that is
// paused before, with pods of the old version. That does no harm where the new version turns its clients away.
func HoldRollout(r Rollout) Hold {
	if r.Deployment == nil || r.Deployment.Spec.Replicas == nil {
		return Hold{}
	}
	observed := r.Deployment.Status
	if observed.Replicas <= observed.UpdatedReplicas {
		return Hold{}
	}
	hold := Hold{
		Last: observed.UpdatedReplicas >= *r.Deployment.Spec.Replicas,
	}
	hold.Refused, hold.Why = refusal(r)
	if hold.Why == "" {
		hold.Why = anyMustWait(r.Spec, r.Gateways, r.together())
	}
	unobserved := observed.ObservedGeneration < r.Deployment.Generation && !r.Deployment.Spec.Paused
	missing := observed.Replicas < *r.Deployment.Spec.Replicas+surge(r.Deployment)
	if hold.Refused != "" || hold.Why != "" && !unobserved && !missing {
		return hold
	}
	return Hold{}
}

// together returns how many gateways Kubernetes may delete at the same moment: as many as there are above the number
// that has to be available. It deletes them when their successors are available, and does not count those that drain.
func (r Rollout) together() int {
	size, observed := *r.Deployment.Spec.Replicas, r.Deployment.Status
	return int(min(observed.Replicas-observed.UpdatedReplicas, observed.Replicas-(size-unavailable(r.Deployment))))
}

// startSeconds is how long a gateway may take until it is ready.
const startSeconds = 10

// RolloutSecondsLeft returns how long a rollout takes from now on, about, or 0 when there is none. For each gateway
// that is left it counts the time until its successor has been ready for long enough, or until it has handed over its
// clients, whichever is longer.
func RolloutSecondsLeft(r Rollout) int64 {
	if r.Deployment == nil || r.Deployment.Status.UpdatedReplicas >= r.Deployment.Status.Replicas {
		return 0
	}
	left := int64(r.Deployment.Status.Replicas - r.Deployment.Status.UpdatedReplicas)
	clients, serving := 0, countWhere(r.Gateways, Gateway.serving)
	for _, g := range r.Gateways {
		clients += g.connections()
	}
	drain := r.Spec.Drain.Timeout.Seconds()
	if budget := render.ReconnectBudget(r.Spec, max(0, serving-1)); budget > 0 {
		each := float64(clients) / float64(max(1, serving))
		drain = min(drain, r.Spec.Drain.PropagationDelay.Seconds()+each/budget)
	}
	each := max(int64(*r.Spec.Rollout.MinReadySeconds)+startSeconds, int64(math.Ceil(drain)))
	return left * each / int64(render.MaxDraining(r.Spec))
}

// anyMustWait returns why no gateway, whichever of those that serve it is, must begin to drain beside those that drain
// already, or "". next is how many may begin at the same moment without being asked again.
func anyMustWait(spec v1alpha1.WebSocketClusterSpec, gateways []Gateway, next int) string {
	draining := slices.DeleteFunc(slices.Clone(gateways), func(g Gateway) bool { return !g.drains() })
	if len(draining) == 0 {
		return ""
	}
	fullest := 0
	for _, g := range gateways {
		if g.serving() {
			fullest = max(fullest, g.connections())
		}
	}
	next = max(1, next)
	return tooManyDrain(spec, draining, next, next*fullest, budgetOf(spec, gateways))
}

// tooManyDrain returns why next gateways with a number of clients must not begin to drain beside others, or "".
func tooManyDrain(
	spec v1alpha1.WebSocketClusterSpec, draining []Gateway, next, clients int, budget float64,
) string {
	n, most := len(draining), render.MaxDraining(spec)
	if n == 0 {
		return ""
	}
	if n+next > most {
		return fmt.Sprintf("gateways that drain already: %d, and spec.disruption.maxUnavailable allows %d", n, most)
	}
	// A gateway that drains closes one connection per second or more.
	need := needOf(spec, draining) + float64(clients)/wholeDrain(spec)
	if budget > 0 && max(need, float64(n+next)) > budget {
		return fmt.Sprintf("gateways that drain already: %d, and drains may send %.0f clients per second to the others", n,
			budget)
	}
	return ""
}

// surge returns how many pods a Deployment may have above its size.
func surge(deployment *appsv1.Deployment) int32 {
	if update := deployment.Spec.Strategy.RollingUpdate; update != nil {
		return scaled(update.MaxSurge, deployment, true)
	}
	return 0
}

// unavailable returns how many pods of a Deployment may be unavailable.
func unavailable(deployment *appsv1.Deployment) int32 {
	if update := deployment.Spec.Strategy.RollingUpdate; update != nil {
		return scaled(update.MaxUnavailable, deployment, false)
	}
	return 0
}

// scaled returns a number or a percentage of the Deployment's size as a number, and 0 for nil.
func scaled(value *intstr.IntOrString, deployment *appsv1.Deployment, roundUp bool) int32 {
	n, err := intstr.GetScaledValueFromIntOrPercent(value, int(*deployment.Spec.Replicas), roundUp)
	if err != nil {
		return 0
	}
	return replicas(n)
}
