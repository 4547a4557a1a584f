package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Gateway is what a plan knows of one gateway.
type Gateway struct {
	Pod *corev1.Pod
	// Reported reports whether the gateway has ever reported. Without a report, the fields that come from it are zero.
	Reported bool
	Report   contract.GatewayReport
	// Stale reports whether the gateway left the latest scrape unanswered.
	Stale bool
	// Asked reports whether the gateway was ready when the latest scrape asked it.
	Asked bool
	// over reports whether the gateway is marked for a scale-in, and has had the time to close all connections.
	over bool
}

// Lost reports whether a pod is still there although its grace period is over: its node does not confirm that it has
// ended.
func Lost(pod *corev1.Pod, now metav1.Time) bool {
	return pod.DeletionTimestamp != nil && now.Unix() > pod.DeletionTimestamp.Unix()+deletionMarginSeconds
}

// Gateways returns the gateways of the pods whose containers may still run at a time, with their reports. Lost pods are
// not among them.
func Gateways(pods []corev1.Pod, reports fleet.Snapshot, now metav1.Time) []Gateway {
	var all []Gateway
	for i := range pods {
		if Lost(&pods[i], now) || fleet.HasEnded(&pods[i]) {
			continue
		}
		reported, known := reports.Gateways[pods[i].UID]
		g := Gateway{
			Pod: &pods[i], Reported: known, Report: reported.Report, Stale: reported.Stale, Asked: reports.Asked[pods[i].UID],
		}
		deadline, marked := g.drainDeadline()
		g.over = marked && isOver(deadline, now)
		all = append(all, g)
	}
	return all
}

// Serving returns the number of gateways that take clients and are to keep them.
func Serving(gateways []Gateway) int { return countWhere(gateways, Gateway.serving) }

// Draining returns the number of gateways that may still have clients to hand over before they go.
func Draining(gateways []Gateway) int { return countWhere(gateways, Gateway.drains) }

// Room returns the maximum number of connections of the gateways that serve and are to stay.
func Room(gateways []Gateway) int {
	room := 0
	for _, g := range gateways {
		if g.serving() || g.sheds() {
			room += g.Report.MaxConnections
		}
	}
	return room
}

// terminating reports whether the gateway's pod is being deleted.
func (g Gateway) terminating() bool { return g.Pod.DeletionTimestamp != nil }

// ready reports whether the gateway's readiness probe succeeds.
func (g Gateway) ready() bool { return fleet.IsReady(g.Pod) }

// connections returns the number of the gateway's connections, by its last report.
func (g Gateway) connections() int { return g.Report.Connections }

// uncounted reports whether the gateway has become ready since the latest scrape, so that it is not known yet how many
// clients it has.
func (g Gateway) uncounted() bool { return g.ready() && !g.Reported && !g.Asked }

// serves reports whether the gateway says that it takes clients.
func (g Gateway) serves() bool { return g.Reported && g.Report.State == contract.StateServing }

// leaving reports whether the gateway drains or is drained, or is about to because it is marked.
func (g Gateway) leaving() bool {
	return g.marked() || g.Reported && g.Report.State != contract.StateServing && !g.sheds()
}

// sheds reports whether the gateway sends a part of its clients away, and stays.
func (g Gateway) sheds() bool {
	return g.Reported && g.Report.Sheds() && !g.terminating() && !g.marked()
}

// serving reports whether the gateway takes clients and is to keep them.
func (g Gateway) serving() bool { return g.ready() && !g.terminating() && !g.leaving() && !g.sheds() }

// drained reports whether the gateway has handed over its last client.
func (g Gateway) drained() bool {
	return g.Reported && g.Report.State == contract.StateDrained && g.Report.Connections == 0
}

// drains reports whether the gateway may still have clients to hand over.
func (g Gateway) drains() bool {
	ended := g.drained() || g.over && !g.Reported || g.onDeadNode()
	return (g.terminating() || g.leaving()) && !ended
}

// onDeadNode reports whether the gateway's node is dead, by what Kubernetes does with its pods when a kubelet is silent
// (1.37.2), and because the gateway does not answer either: it sets the condition Ready to False, which a kubelet sets
// together with ContainersReady unless there are readiness gates (pkg/controller/util/node, MarkPodsNotReady), and some
// minutes later it deletes the pod (pkg/controller/tainteviction).
func (g Gateway) onDeadNode() bool {
	if g.Reported || g.ready() {
		return false
	}
	deleted := g.condition(corev1.DisruptionTarget)
	if deleted.Status == corev1.ConditionTrue && deleted.Reason == deletionByTaintManager {
		return true
	}
	return g.condition(corev1.ContainersReady).Status == corev1.ConditionTrue && len(g.Pod.Spec.ReadinessGates) == 0
}

// deletionByTaintManager is the reason of the condition DisruptionTarget of pods that are deleted by a taint of
// their node.
const deletionByTaintManager = "DeletionByTaintManager"

// condition returns a condition of the gateway's pod, or the zero value when it has none.
func (g Gateway) condition(kind corev1.PodConditionType) corev1.PodCondition {
	for _, condition := range g.Pod.Status.Conditions {
		if condition.Type == kind {
			return condition
		}
	}
	return corev1.PodCondition{}
}

// runs reports whether the gateway's process runs, or did when its kubelet was last heard of.
func (g Gateway) runs() bool {
	return slices.ContainsFunc(g.Pod.Status.ContainerStatuses, func(container corev1.ContainerStatus) bool {
		return container.State.Running != nil
	})
}

// drainDeadline returns until when the gateway may hand over its clients before its pod is deleted, by the mark of a
// scale-in, and false when the gateway has none.
func (g Gateway) drainDeadline() (deadline metav1.Time, marked bool) {
	value, found := g.Pod.Annotations[render.AnnotationScaleIn]
	if !found || deadline.UnmarshalQueryParameter(value) != nil || deadline.IsZero() {
		return metav1.Time{}, false
	}
	return deadline, true
}

// marked reports whether the gateway is marked for a scale-in.
func (g Gateway) marked() bool {
	_, marked := g.drainDeadline()
	return marked
}

// retired reports whether Kubernetes knows that the pod is the one to delete.
func (g Gateway) retired() bool {
	return g.Pod.Annotations[corev1.PodDeletionCost] == render.DeletionCostRetired
}

// zone returns the zone of the gateway's node, or "" where the pod does not tell it. Kubernetes copies the label from
// the node since version 1.35.
func (g Gateway) zone() string { return g.Pod.Labels[corev1.LabelTopologyZone] }
