package status

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// lostAfter is how long after the end of its grace period a pod may take to go. A node that works removes it within
// seconds.
const lostAfter = 30 * time.Second

// maxLostNames is the maximum number of lost pods that a message names.
const maxLostNames = 3

// isLost reports whether the pod should have ended, and its node does not confirm that it has: the node is down.
func isLost(pod *corev1.Pod, now time.Time) bool {
	return pod.DeletionTimestamp != nil && !now.Before(pod.DeletionTimestamp.Add(lostAfter))
}

// RecheckAfter returns after which time the status has to be computed again although nothing has changed: a pod that is
// being deleted counts as lost then, or one that is being created is overdue. It returns 0 when there is no such pod.
func RecheckAfter(pods []corev1.Pod, now time.Time) time.Duration {
	var soonest time.Duration
	for i := range pods {
		left := creationRecheckAfter(&pods[i], now)
		if pods[i].DeletionTimestamp != nil {
			left = pods[i].DeletionTimestamp.Add(lostAfter).Sub(now)
		}
		if left > 0 && (soonest == 0 || left < soonest) {
			soonest = left
		}
	}
	return soonest
}

// lostMessage names the lost gateways, or is empty when there are none.
func lostMessage(all []gateway) string {
	var names []string
	for _, g := range all {
		if g.lost && !g.finished() {
			names = append(names, fmt.Sprintf("%s on node %s", g.pod.Name, g.pod.Spec.NodeName))
		}
	}
	if len(names) == 0 {
		return ""
	}
	more := ""
	if n := len(names) - maxLostNames; n > 0 {
		names, more = names[:maxLostNames], fmt.Sprintf(" and %d more", n)
	}
	return "gateways that are lost, because their node does not confirm that they have ended: " +
		strings.Join(names, ", ") + more + ": repair the node, or delete it from Kubernetes, and the pods go"
}
