package plan

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// DrainMark is a change of the label render.LabelDraining of a pod.
type DrainMark struct {
	Pod *corev1.Pod
	// Draining is whether the pod gets the label or loses it.
	Draining bool
}

// DrainMarks returns the labels that differ from what gateways report. A gateway that drains before its deletion is no
// part of the fleet's size; one that only sends a part of its clients away stays a part. Pods that are terminating
// need no label, because autoscalers leave them out by themselves, and what a gateway does that has not reported is
// not known.
func DrainMarks(pods []corev1.Pod, reports fleet.Snapshot) []DrainMark {
	var marks []DrainMark
	for i := range pods {
		pod := &pods[i]
		reported, known := reports.Gateways[pod.UID]
		if !known || pod.DeletionTimestamp != nil || fleet.HasEnded(pod) {
			continue
		}
		_, marked := pod.Labels[render.LabelDraining]
		drains := reported.Report.State != contract.StateServing && !reported.Report.Sheds()
		if drains != marked {
			marks = append(marks, DrainMark{Pod: pod, Draining: drains})
		}
	}
	return marks
}
