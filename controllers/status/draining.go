package status

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// draining is true while a gateway is handing its clients over.
func draining(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionDraining
	going := o.count(gateway.draining)
	if going == 0 {
		return condition(kind, false, v1alpha1.ReasonNoneDraining, "no gateway drains")
	}
	return condition(kind, true, v1alpha1.ReasonHandingOver, fmt.Sprintf("gateways that drain: %d", going))
}

// drains lists the draining gateways, the ones with the most clients first where not all fit.
func drains(o Observation) []v1alpha1.DrainStatus {
	var list []v1alpha1.DrainStatus
	for _, one := range o.gateways() {
		if one.draining() {
			list = append(list, drainOf(one))
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

func drainOf(one gateway) v1alpha1.DrainStatus {
	entry := v1alpha1.DrainStatus{Pod: one.pod.Name}
	if one.pod.DeletionTimestamp != nil {
		entry.Reason = "the pod is being deleted"
		entry.Deadline = one.pod.DeletionTimestamp
		if grace := one.pod.DeletionGracePeriodSeconds; grace != nil {
			started := metav1.NewTime(one.pod.DeletionTimestamp.Add(-time.Duration(*grace) * time.Second))
			entry.StartedAt = &started
		}
	}
	if one.report == nil {
		return entry
	}
	entry.Connections = int64(one.report.Connections)
	if said := one.report.Drain; said != nil {
		// Whole seconds: that is what a status keeps, and a finer time would differ from it for ever.
		started, deadline := metav1.NewTime(said.StartedAt).Rfc3339Copy(), metav1.NewTime(said.Deadline).Rfc3339Copy()
		entry.StartedAt, entry.Deadline, entry.Reason = &started, &deadline, said.Reason
	}
	return entry
}
