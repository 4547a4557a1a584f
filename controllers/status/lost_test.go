package status

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// lostPod adds a pod whose grace period ended long ago. Its last report says that it serves 7 clients.
func lostPod(o *Observation) {
	drainingPod(7)(o)
	pod := &o.Pods[len(o.Pods)-1]
	pod.DeletionTimestamp = new(metav1.NewTime(o.Now.Add(-lostAfter)))
	pod.Spec.NodeName = "node-1"
}

func TestDrainingLeavesLostGatewaysOut(t *testing.T) {
	almost := func(o *Observation) {
		lostPod(o)
		o.Now = o.Now.Add(-time.Second)
	}
	many := func(o *Observation) {
		for range 5 {
			lostPod(o)
		}
	}
	checkCondition(t, v1alpha1.ConditionDraining, []conditionCase{
		{"lost", []change{lostPod}, isFalse, v1alpha1.ReasonGatewaysLost, "pod-2 on node node-1: repair the node"},
		{"almost lost", []change{almost}, isTrue, v1alpha1.ReasonHandingOver, "drain: 1"},
		{"lost and draining", []change{lostPod, drainingPod(1)}, isTrue, v1alpha1.ReasonHandingOver,
			"drain: 1; gateways that are lost"},
		{"many", []change{many}, isFalse, v1alpha1.ReasonGatewaysLost, "pod-4 on node node-1 and 2 more"},
	})
	status := Compute(settled(lostPod))
	assert.Zero(t, status.DrainingReplicas)
	assert.Equal(t, int64(30), status.Connections, "those of the two that serve")
	require.Len(t, status.Drain, 1)
	assert.Contains(t, status.Drain[0].Reason, "lost")
	assert.Zero(t, status.Drain[0].Connections)
}

func TestRecheckAfterThePodsAreLost(t *testing.T) {
	o := settled()
	assert.Zero(t, RecheckAfter(o.Pods, o.Now))
	drainingPod(1)(&o)
	assert.Equal(t, 325*time.Second+lostAfter, RecheckAfter(o.Pods, o.Now))
	lostPod(&o)
	assert.Equal(t, 325*time.Second+lostAfter, RecheckAfter(o.Pods, o.Now), "a lost pod does not change any more")
}

// The Deployment has a pod that lacks the label by which the operator finds pods.
func TestAvailableTellsOfUnlabeledPods(t *testing.T) {
	checkCondition(t, v1alpha1.ConditionAvailable, []conditionCase{
		{"one of two is not seen", []change{noPods, servingPod(1)}, isFalse, v1alpha1.ReasonTooFewServing,
			"the Deployment has 1 more, which lack the label wsfleet.dev/cluster: restore it with kubectl label pods " +
				"-l app.kubernetes.io/instance=demo wsfleet.dev/cluster=demo"},
		{"a drain was requested", []change{noPods, servingPod(1), drainRequested}, isFalse, v1alpha1.ReasonTooFewServing,
			"1 of 2 gateways serve"},
	})
	o := settled(noPods, servingPod(1), drainRequested)
	assert.Zero(t, o.unlabeled())
	o = settled(noPods, servingPod(1), func(o *Observation) { o.Gateways.Status.AvailableReplicas = 1 })
	assert.Zero(t, o.unlabeled(), "the pod is not there yet")
}

// drainRequested adds a gateway that drains although its pod is not being deleted.
func drainRequested(o *Observation) {
	drainingPod(1)(o)
	o.Pods[len(o.Pods)-1].DeletionTimestamp = nil
}

// What is shown as effective is what the Deployment has, not what the operator computed.
func TestEffectiveReadsTheDeployment(t *testing.T) {
	admitted := func(o *Observation) {
		o.Gateways.Spec.Template.Spec = corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(45)),
			Containers: []corev1.Container{{Name: "sidecar", Image: "s"},
				{Name: "gateway", Image: "mirror/g:2"}},
		}
	}
	effective := Compute(settled(admitted)).Effective
	assert.Equal(t, "45 mirror/g:2", fmt.Sprint(effective.TerminationGracePeriodSeconds, " ", effective.Image))
	effective = Compute(settled(func(o *Observation) { o.Gateways = (*appsv1.Deployment)(nil) })).Effective
	assert.Equal(t, "325 gateway:1", fmt.Sprint(effective.TerminationGracePeriodSeconds, " ", effective.Image))
}
