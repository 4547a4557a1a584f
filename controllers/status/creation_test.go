package status

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// A pod that is being created says nothing for a while. Then the words of its events count.
func TestCreationOverdue(t *testing.T) {
	o := settled(brokenPod(waiting("ContainerCreating", "")))
	pod := &o.Pods[1]
	assert.False(t, CreationOverdue(pod, o.Now), "it has no node")
	assert.Zero(t, RecheckAfter(o.Pods, o.Now))
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
		Type:               corev1.PodScheduled,
		Status:             corev1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(o.Now),
	})
	assert.False(t, CreationOverdue(pod, o.Now))
	assert.Equal(t, creationTime, RecheckAfter(o.Pods, o.Now))
	later := o.Now.Add(creationTime)
	assert.True(t, CreationOverdue(pod, later))
	assert.Equal(t, creationRecheck, RecheckAfter(o.Pods, later))
	pod.DeletionTimestamp = &metav1.Time{Time: later}
	assert.False(t, CreationOverdue(pod, later))

	missing := `MountVolume.SetUp failed for volume "tls" : secret "x" not found`
	checkCondition(t, v1alpha1.ConditionProgressing, []conditionCase{
		{"cannot mount", []change{brokenPod(waiting("ContainerCreating", missing))},
			isFalse, v1alpha1.ReasonContainerNotStarted, "the node cannot start the container: " + missing},
	})
	assert.Equal(t, time.Duration(0), creationRecheckAfter(&o.Pods[0], o.Now), "a pod that runs")
}
