package status

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// refusedPod makes the gateways' Deployment, of which one gateway serves, fail to create another.
func refusedPod(message string) change {
	return func(o *Observation) {
		noPods(o)
		servingPod(1)(o)
		o.Gateways.Status.Replicas, o.Gateways.Status.AvailableReplicas = 1, 1
		o.Gateways.Status.Conditions = []appsv1.DeploymentCondition{{
			Type:    appsv1.DeploymentReplicaFailure,
			Status:  corev1.ConditionTrue,
			Reason:  "FailedCreate",
			Message: message,
		}}
	}
}

// brokenPod replaces a gateway of the fleet by one whose container is in the state.
func brokenPod(container corev1.ContainerStatus) change {
	return func(o *Observation) {
		noPods(o)
		servingPod(1)(o)
		pod := addPod(o, false)
		pod.CreationTimestamp = metav1.NewTime(o.Now)
		container.Image = "example.com/gateway:1"
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{container}
		o.Gateways.Status.AvailableReplicas = 1
	}
}

func waiting(reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message},
	}}
}

func crashed(restarts int32, end corev1.ContainerStateTerminated) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		RestartCount:         restarts,
		State:                corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		LastTerminationState: corev1.ContainerState{Terminated: &end},
	}
}

func backingOff(end corev1.ContainerStateTerminated) corev1.ContainerStatus {
	container := waiting("CrashLoopBackOff", "back-off 10s restarting failed container=gateway")
	container.LastTerminationState.Terminated = &end
	return container
}

// The words are those of Kubernetes 1.37.2.
func TestProgressingSaysTheCause(t *testing.T) {
	noNode := func(o *Observation) {
		brokenPod(corev1.ContainerStatus{})(o)
		o.Pods[1].Status.Conditions = []corev1.PodCondition{{
			Type:   corev1.PodScheduled,
			Status: corev1.ConditionFalse,
			Reason: corev1.PodReasonUnschedulable,
			Message: "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are " +
				"available: 1 Preemption is not helpful for scheduling.",
		}}
	}
	paused := func(o *Observation) {
		o.Gateways.Name = "demo-gateway"
		o.Gateways.Spec.Paused = true
		o.Gateways.Status.UpdatedReplicas = 0
	}
	end := corev1.ContainerStateTerminated{
		ExitCode: 2,
		Reason:   "Error",
		Message:  "starting\nlog-level: \"loud\" is not known\n",
	}
	checkCondition(t, v1alpha1.ConditionProgressing, []conditionCase{
		{"quota", []change{refusedPod(`pods "demo-gateway-1-x" is forbidden: exceeded quota: q, requested: pods=1, ` +
			`used: pods=1, limited: pods=1`)}, isFalse, v1alpha1.ReasonPodsRefused,
			"create pods: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1: raise the ResourceQuota"},
		{"quota wants limits", []change{refusedPod(`pods "x" is forbidden: failed quota: q: must specify limits.cpu for: ` +
			`gateway`)}, isFalse, v1alpha1.ReasonPodsRefused, "must specify limits.cpu for: gateway: set the requests"},
		{"LimitRange", []change{refusedPod(`pods "x" is forbidden: maximum memory usage per Container is 64Mi, but limit ` +
			`is 128Mi`)}, isFalse, v1alpha1.ReasonPodsRefused, "keep spec.resources within the LimitRange"},
		{"priority class", []change{refusedPod(`pods "x" is forbidden: no PriorityClass with name not-there was found`)},
			isFalse, v1alpha1.ReasonPodsRefused, "spec.pod.priorityClassName"},
		{"policy", []change{refusedPod(`admission webhook "a.b" denied the request: no`)},
			isFalse, v1alpha1.ReasonPodsRefused, "change the policy"},
		{"no node", []change{noNode}, isFalse, v1alpha1.ReasonUnschedulable,
			"no node takes the pod: 0/1 nodes are available: 1 Insufficient cpu: add a node"},
		{"pull failed", []change{brokenPod(waiting("ErrImagePull", "no such image"))},
			isFalse, v1alpha1.ReasonImagePullFailed, "example.com/gateway:1: no such image: correct spec.image"},
		{"pull backs off", []change{brokenPod(waiting("ImagePullBackOff",
			`Back-off pulling image "example.com/gateway:1": ErrImagePull: no such image`))},
			isFalse, v1alpha1.ReasonImagePullFailed, "example.com/gateway:1: no such image: correct spec.image"},
		{"Secret missing", []change{brokenPod(waiting("CreateContainerConfigError", `secret "x" not found`))},
			isFalse, v1alpha1.ReasonContainerNotStarted, `secret "x" not found`},
		{"crash loop", []change{brokenPod(backingOff(end))}, isFalse, v1alpha1.ReasonCrashLooping,
			`(exit code 2): log-level: "loud" is not known: correct spec.gateway and spec.pod.env`},
		{"between two crashes", []change{brokenPod(crashed(2, end))}, isFalse, v1alpha1.ReasonCrashLooping, "loud"},
		{"one restart", []change{brokenPod(crashed(1, end))}, isTrue, v1alpha1.ReasonScaling, ""},
		{"out of memory",
			[]change{brokenPod(backingOff(corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}))}, isFalse,
			v1alpha1.ReasonCrashLooping, "raise the memory in spec.resources"},
		{"silent crash", []change{brokenPod(backingOff(corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}))},
			isFalse, v1alpha1.ReasonCrashLooping, "kubectl logs --previous"},
		{"the container is being created", []change{brokenPod(waiting("ContainerCreating", ""))},
			isTrue, v1alpha1.ReasonScaling, ""},
		{"Deployment paused", []change{paused}, isFalse, v1alpha1.ReasonRolloutPaused,
			"kubectl rollout resume deployment/demo-gateway"},
	})
}

func TestAvailableSaysTheCause(t *testing.T) {
	checkCondition(t, v1alpha1.ConditionAvailable, []conditionCase{
		{"too few", []change{refusedPod("denied")}, isFalse, v1alpha1.ReasonTooFewServing,
			"1 of 2 gateways serve: Kubernetes refuses to create pods: denied"},
		{"surge is refused", []change{refusedPod("denied"), servingPod(1)}, isTrue, v1alpha1.ReasonEnoughServing,
			"2 of 2 gateways serve"},
	})
}

func TestBackplaneSaysTheCause(t *testing.T) {
	broken := func(o *Observation) {
		o.Redis.Status.AvailableReplicas = 0
		o.RedisPods = []corev1.Pod{{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			waiting("ErrImagePull", "no such image"),
		}}}}
	}
	checkCondition(t, v1alpha1.ConditionBackplaneReady, []conditionCase{
		{"managed Redis does not run", []change{broken}, isFalse, v1alpha1.ReasonImagePullFailed,
			"the managed Redis does not run: the node cannot pull"},
	})
}

// A new version that starts well is not blamed for the broken one that it replaces.
func TestCauseIsThatOfTheNewestVersion(t *testing.T) {
	o := settled(brokenPod(waiting("ErrImagePull", "no such image")))
	assert.NotNil(t, findCause(o.Gateways, o.Pods, gatewayFields))
	newer := addPod(&o, false)
	newer.CreationTimestamp = metav1.NewTime(o.Now.Add(time.Second))
	newer.Labels = map[string]string{appsv1.DefaultDeploymentUniqueLabelKey: "newer"}
	assert.Nil(t, findCause(o.Gateways, o.Pods, gatewayFields))
}

func TestExcerptIsOneShortLine(t *testing.T) {
	assert.Equal(t, "a b", excerpt(" a\n\tb. "))
	assert.Len(t, excerpt(strings.Repeat("x", 2*maxExcerpt)), maxExcerpt+len(" ..."))
}
