package status

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
)

// draining is true while a gateway drains.
func draining(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionDraining
	n, lost := o.count(gateway.draining), lostMessage(o.gateways())
	drains := fmt.Sprintf("gateways that drain: %d", n)
	if o.EvictionsWait && o.desired() > 1 {
		drains += "; evictions of others wait"
	}
	switch {
	case n > 0 && lost != "":
		return condition(kind, true, v1alpha1.ReasonHandingOver, drains+"; "+lost)
	case lost != "":
		return condition(kind, false, v1alpha1.ReasonGatewaysLost, lost)
	case n == 0:
		return condition(kind, false, v1alpha1.ReasonNoneDraining, "no gateway drains")
	}
	if slow, timeout := slowest(o); slow != nil {
		return condition(kind, true, v1alpha1.ReasonDrainTooShort, fmt.Sprintf("%s; %s will close some of its clients at "+
			"once at its deadline: at its pace it needs spec.drain.timeout: %s; raise that, or "+
			"spec.rollout.maxReconnectsPerSecond and spec.drain.maxClosesPerSecond", drains, slow.pod.Name, timeout))
	}
	return condition(kind, true, v1alpha1.ReasonHandingOver, drains)
}

// timeoutStep is what a timeout that would suffice is rounded up to.
const timeoutStep = 30 * time.Second

// slowest returns the gateway whose drain would need the longest time, among those that cannot close all connections
// one after the other by their deadline, and the drain.timeout that would suffice. It returns nil when there is none.
func slowest(o Observation) (slow *gateway, timeout time.Duration) {
	for _, g := range o.gateways() {
		if !g.draining() || g.report == nil || g.report.Drain == nil || g.sheds() {
			continue
		}
		drain := g.report.Drain
		ends, known := drainEnds(o, g)
		// A gateway without a pace of its own closes the last connection just at the deadline.
		if !known || ends.Before(drain.Deadline.Add(timeoutStep/10)) {
			continue
		}
		needs := ends.Sub(drain.StartedAt).Truncate(timeoutStep) + timeoutStep
		if needs > timeout {
			slow, timeout = &g, needs
		}
	}
	return slow, timeout
}

// drainEnds is fleet.DrainEnds for a gateway that has reported.
func drainEnds(o Observation, g gateway) (ends time.Time, known bool) {
	return fleet.DrainEnds(*g.report, g.reportedAt, o.spec().Drain.PropagationDelay.Duration)
}

// endStep is what the expected end of a drain is rounded up to, so that the status need not be written for each second.
const endStep = 10 * time.Second

// expectedEnd returns when the gateway's drain is expected to end, or nil when that is not known.
func expectedEnd(o Observation, g gateway) *metav1.Time {
	ends, known := drainEnds(o, g)
	if !known {
		return nil
	}
	ends = ends.Add(endStep - 1).Truncate(endStep)
	if deadline := g.report.Drain.Deadline; ends.After(deadline) {
		ends = deadline
	}
	end := metav1.NewTime(ends).Rfc3339Copy()
	return &end
}

// drainStatuses returns the draining and the lost gateways by the names of their pods, at most MaxDrainEntries: those
// with the most connections.
func drainStatuses(o Observation) []v1alpha1.DrainStatus {
	var list []v1alpha1.DrainStatus
	for _, g := range o.gateways() {
		if g.draining() || g.lost && !g.finished() {
			list = append(list, drainStatus(o, g))
		}
	}
	if len(list) > v1alpha1.MaxDrainEntries {
		slices.SortFunc(list, func(a, b v1alpha1.DrainStatus) int {
			return cmp.Or(cmp.Compare(b.Connections, a.Connections), cmp.Compare(a.Pod, b.Pod))
		})
		list = list[:v1alpha1.MaxDrainEntries]
	}
	slices.SortFunc(list, func(a, b v1alpha1.DrainStatus) int { return cmp.Compare(a.Pod, b.Pod) })
	return list
}

// drainStatus describes the drain by the gateway's report, or, where the report does not have it, by the pod's
// deletion.
func drainStatus(o Observation, g gateway) v1alpha1.DrainStatus {
	entry := v1alpha1.DrainStatus{Pod: g.pod.Name}
	if g.pod.DeletionTimestamp != nil {
		entry.Reason = "the pod is being deleted"
		entry.Deadline = g.pod.DeletionTimestamp
		if grace := g.pod.DeletionGracePeriodSeconds; grace != nil {
			started := metav1.NewTime(g.pod.DeletionTimestamp.Add(-time.Duration(*grace) * time.Second))
			entry.StartedAt = &started
		}
	}
	if g.lost {
		entry.Reason = "lost: the node does not confirm that the pod has ended"
		return entry
	}
	if g.report == nil {
		return entry
	}
	entry.Connections = int64(g.report.Connections)
	if drain := g.report.Drain; drain != nil {
		// A stored status has whole seconds. With a finer time here, the status would differ from the stored one on
		// every reconcile.
		started := metav1.NewTime(drain.StartedAt).Rfc3339Copy()
		deadline := metav1.NewTime(drain.Deadline).Rfc3339Copy()
		entry.StartedAt, entry.Deadline, entry.Reason = &started, &deadline, drain.Reason
		entry.ClosesPerSecond, entry.ExpectedEnd = int64(math.Ceil(drain.ClosesPerSecond)), expectedEnd(o, g)
	}
	return entry
}
