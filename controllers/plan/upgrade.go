package plan

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/controllers/render"
)

// DiffersByReleaseOnly reports whether the pods that a Deployment runs differ from the desired ones although the user
// has asked for nothing else since: the operator's release does. live and desired are the Deployment's annotations. A
// Deployment of a release before these annotations counts as one whose user has asked for nothing else.
func DiffersByReleaseOnly(live, desired map[string]string) bool {
	return live[render.AnnotationTemplate] != desired[render.AnnotationTemplate] &&
		(live[render.AnnotationAsked] == "" || live[render.AnnotationAsked] == desired[render.AnnotationAsked])
}

// RolloutUnderway reports whether gateways of a fleet are being replaced, or still drain. A rollout that has made no
// progress until its deadline, that was paused, or whose gateways turn clients away is not under way. Pods whose grace
// period was over before lost are not waited for: the kubelet of their node may be gone, and they then stay for ever.
func RolloutUnderway(deployment *appsv1.Deployment, pods []corev1.Pod, lost metav1.Time) bool {
	observed := deployment.Status
	switch {
	case deployment.Spec.Paused && !render.RolloutHeld(deployment), deadlineExceeded(deployment):
		return false
	case deployment.Spec.Paused && deployment.Annotations[render.AnnotationRolloutRefused] != "":
		return false
	case observed.ObservedGeneration < deployment.Generation, observed.UpdatedReplicas < observed.Replicas:
		return true
	default:
		return slices.ContainsFunc(pods, func(pod corev1.Pod) bool {
			return pod.DeletionTimestamp != nil && lost.Before(pod.DeletionTimestamp)
		})
	}
}

func deadlineExceeded(deployment *appsv1.Deployment) bool {
	return slices.ContainsFunc(deployment.Status.Conditions, func(one appsv1.DeploymentCondition) bool {
		return one.Type == appsv1.DeploymentProgressing && one.Status == corev1.ConditionFalse
	})
}

// Upgrade is what is known of a fleet that the operator's release changes.
type Upgrade struct {
	Fleet types.NamespacedName
	// Since is when the fleet began to wait.
	Since metav1.Time
	// Rolling reports whether the fleet has its turn.
	Rolling bool
}

// NextUpgrades returns the fleets whose turn it is, so that no more than budget roll at once: those that have waited
// longest come first.
func NextUpgrades(all []Upgrade, budget int) []types.NamespacedName {
	waiting := waitingUpgrades(all)
	free := max(0, budget-(len(all)-len(waiting)))
	next := make([]types.NamespacedName, 0, free)
	for _, one := range waiting[:min(free, len(waiting))] {
		next = append(next, one.Fleet)
	}
	return next
}

// UpgradesBefore returns the number of fleets that roll or have waited longer than the fleet.
func UpgradesBefore(all []Upgrade, fleet types.NamespacedName) int {
	waiting := waitingUpgrades(all)
	place := slices.IndexFunc(waiting, func(one Upgrade) bool { return one.Fleet == fleet })
	return len(all) - len(waiting) + max(0, place)
}

// waitingUpgrades returns those without a turn, in the order in which they get one.
func waitingUpgrades(all []Upgrade) []Upgrade {
	waiting := slices.DeleteFunc(slices.Clone(all), func(one Upgrade) bool { return one.Rolling })
	slices.SortFunc(waiting, func(a, b Upgrade) int {
		if order := a.Since.Compare(b.Since.Time); order != 0 {
			return order
		}
		return strings.Compare(a.Fleet.String(), b.Fleet.String())
	})
	return waiting
}
