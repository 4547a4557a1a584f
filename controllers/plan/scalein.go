package plan

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// ScaleIn is what is observed of a fleet whose size may have to shrink.
type ScaleIn struct {
	// Spec has its defaults set, and the fleet's desired size.
	Spec v1alpha1.WebSocketClusterSpec
	// Deployment is the gateways' Deployment, or nil when there is none.
	Deployment *appsv1.Deployment
	Gateways   []Gateway
	Now        metav1.Time
}

// ScaleInStep is the next step of a scale-in. Its lists hold the pods that have to change, so that they are empty for a
// fleet that needs nothing.
type ScaleInStep struct {
	// Replicas is the size that the gateways' Deployment is to have now.
	Replicas int32
	// Drain are gateways that hand over their clients from now on, or were asked to and do not.
	Drain []Drain
	// Retire are gateways without clients, of which Kubernetes is to know that they are the ones to delete.
	Retire []Gateway
	// Restore are gateways that are to serve again, because the fleet stays larger or another gateway goes.
	Restore []Gateway
	// Draining is the number of gateways that drain before they are deleted.
	Draining int
	// Waits says why a gateway that has to go does not drain yet. It is empty when none has to wait.
	Waits string
}

// Drain asks a gateway to hand over its clients.
type Drain struct {
	Gateway Gateway
	// Deadline is when the gateway is deleted, whatever clients it still has.
	Deadline metav1.Time
}

// DrainReasonScaleIn is the reason of a drain before a deletion in the gateway's report and log. By it the operator
// tells its own drains, which it undoes when the gateway is to stay, from those that a user has started.
const DrainReasonScaleIn = "scale-in"

// deadlineMarginSeconds is how long after its deadline a gateway may take to close the connections that were left.
const deadlineMarginSeconds = 5

// NextScaleInStep returns the next step towards a smaller fleet: gateways drain first, and are deleted after. The
// Deployment keeps its size until they have handed over their clients, and then shrinks by exactly as many.
//
// The step follows from what is observed alone, so that an operator that has just started takes the same one, and it
// may be repeated.
func NextScaleInStep(s ScaleIn) ScaleInStep {
	desired := int(*s.Spec.Replicas)
	size := desired
	if s.Deployment != nil && s.Deployment.Spec.Replicas != nil {
		size = int(*s.Deployment.Spec.Replicas)
	}
	staying := slices.DeleteFunc(slices.Clone(s.Gateways), Gateway.terminating)
	switch {
	case size > desired && (!s.drainsFirst() || len(staying) == 0):
		return ScaleInStep{Replicas: *s.Spec.Replicas}
	case s.replaces():
		step := ScaleInStep{Replicas: replicas(max(size, desired)), Restore: changedByScaleIn(staying)}
		if size > desired {
			step.Waits = "gateways of a new version replace the old ones"
		}
		return step
	case len(staying) > size, s.Deployment != nil && !observed(s.Deployment):
		// Kubernetes is about to delete or to create pods. Which ones is not known yet.
		return ScaleInStep{Replicas: replicas(max(desired, min(size, s.existing(staying))))}
	case size <= desired:
		return ScaleInStep{Replicas: *s.Spec.Replicas, Restore: changedByScaleIn(staying)}
	}
	return s.shrink(staying, size, desired)
}

// replaces reports whether gateways of a new version replace the old ones. What drains for a scale-in serves again
// meanwhile: the old ones go anyway, and a rollout waits for gateways that drain.
func (s ScaleIn) replaces() bool {
	return s.Deployment != nil && observed(s.Deployment) &&
		s.Deployment.Status.UpdatedReplicas < s.Deployment.Status.Replicas
}

// observed reports whether the Deployment's controller has seen its latest change.
func observed(deployment *appsv1.Deployment) bool {
	return deployment.Status.ObservedGeneration >= deployment.Generation
}

// drainsFirst reports whether gateways drain before they are deleted. The last ones cannot: no other one would take
// their clients.
func (s ScaleIn) drainsFirst() bool {
	return *s.Spec.Replicas > 0 && s.Spec.Drain.ScaleIn == v1alpha1.ScaleInPreDrain && s.Spec.Drain.Timeout.Duration > 0
}

// existing returns how many pods the Deployment has at most. Those that it has not created yet need no drain.
func (s ScaleIn) existing(staying []Gateway) int {
	if s.Deployment == nil {
		return len(staying)
	}
	return max(len(staying), int(s.Deployment.Status.Replicas))
}

// shrink is NextScaleInStep for a Deployment that is too large.
func (s ScaleIn) shrink(staying []Gateway, size, desired int) ScaleInStep {
	size = max(desired, min(size, s.existing(staying)))
	going := victims(staying, len(staying)-desired)
	rest := without(staying, going)
	budget := budgetOf(s.Spec, rest)
	step := ScaleInStep{Restore: changedByScaleIn(rest)}
	var waiting []Gateway
	for _, g := range going {
		deadline, marked := g.drainDeadline()
		switch {
		case g.over && g.serves():
			// No operator came in time, so the gateway serves again. It needs a new time.
			waiting = append(waiting, g)
		case g.over, g.rank() == rankEmpty, g.drained():
			if g.retired() {
				size--
			} else {
				step.Retire = append(step.Retire, g)
			}
		case marked:
			step.Draining++
			if g.Report.Drain == nil {
				// The request did not arrive, or the gateway was started again.
				step.Drain = append(step.Drain, Drain{g, deadline})
			}
		default:
			waiting = append(waiting, g)
		}
	}
	step.Replicas = replicas(max(size, desired))
	s.startDrains(&step, waiting, rest, budget)
	return step
}

// startDrains lets as many of the waiting gateways drain as may drain at once. rest are the gateways that stay.
func (s ScaleIn) startDrains(step *ScaleInStep, waiting, rest []Gateway, budget float64) {
	draining := slices.DeleteFunc(without(s.Gateways, waiting), func(g Gateway) bool { return !g.drains() })
	if i := slices.IndexFunc(rest, Gateway.uncounted); i >= 0 && len(waiting) > 0 {
		// It may be the one that goes.
		step.Waits = "gateway " + rest[i].Pod.Name + " has just become ready, and its clients are not counted yet"
		return
	}
	for _, g := range waiting {
		if step.Waits = s.mustWait(g, draining, rest, budget); step.Waits != "" {
			return
		}
		deadline := metav1.NewTime(s.Now.Add(s.Spec.Drain.Timeout.Duration))
		step.Drain = append(step.Drain, Drain{g, deadline})
		step.Draining++
		draining = append(draining, g)
	}
}

// mustWait returns why a gateway must not begin to drain now, or "".
func (s ScaleIn) mustWait(g Gateway, draining, rest []Gateway, budget float64) string {
	if why := tooManyDrain(s.Spec, draining, 1, g.connections(), budget); why != "" {
		return why
	}
	if !g.Reported && g.ready() {
		return "gateway " + g.Pod.Name + " serves and does not answer the operator"
	}
	if g.connections() > 0 && connectionsOf(s.Gateways) > Room(rest) {
		return "those that stay could not hold all clients: raise spec.replicas or spec.gateway.maxConnections"
	}
	return ""
}

// isOver reports whether a gateway has had the time to close what was left at a deadline.
func isOver(deadline, now metav1.Time) bool {
	return now.Unix() >= deadline.Unix()+deadlineMarginSeconds
}

// changedByScaleIn returns the gateways that a scale-in has marked or retired.
func changedByScaleIn(gateways []Gateway) []Gateway {
	return slices.DeleteFunc(slices.Clone(gateways), func(g Gateway) bool { return !g.marked() && !g.retired() })
}

// without returns the gateways that are not among others.
func without(gateways, others []Gateway) []Gateway {
	excluded := map[types.UID]bool{}
	for _, other := range others {
		excluded[other.Pod.UID] = true
	}
	return slices.DeleteFunc(slices.Clone(gateways), func(g Gateway) bool { return excluded[g.Pod.UID] })
}

// countWhere returns the number of gateways for which is returns true.
func countWhere(gateways []Gateway, is func(Gateway) bool) int {
	n := 0
	for _, g := range gateways {
		if is(g) {
			n++
		}
	}
	return n
}

func connectionsOf(gateways []Gateway) int {
	sum := 0
	for _, g := range gateways {
		sum += g.connections()
	}
	return sum
}

// replicas returns n as the size of a Deployment. n is not above one that was read, so it fits.
func replicas(n int) int32 { return int32(n) }
