package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// getDeployment reads a Deployment of the fleet.
func (f *fleet) getDeployment(t require.TestingT, c child) *appsv1.Deployment {
	deployment := &appsv1.Deployment{}
	key := types.NamespacedName{Namespace: f.namespace, Name: c.name(f.name)}
	require.NoError(t, env.client.Get(f.t.Context(), key, deployment))
	return deployment
}

// createPodOf does the ReplicaSet controller's part: it creates a pod of the Deployment. When the API server refuses
// the pod, its words become a condition of the Deployment.
func createPodOf(t *testing.T, f *fleet, c child) *corev1.Pod {
	t.Helper()
	f.eventuallyHas(c)
	deployment := f.getDeployment(t, c)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:    f.namespace,
			GenerateName: deployment.Name + "-1-",
			Labels:       deployment.Spec.Template.Labels,
			Annotations:  deployment.Spec.Template.Annotations,
		},
		Spec: deployment.Spec.Template.Spec,
	}
	refused := env.client.Create(t.Context(), pod)
	f.eventually(func(t *assert.CollectT) {
		deployment := f.getDeployment(t, c)
		deployment.Status = appsv1.DeploymentStatus{ObservedGeneration: deployment.Generation}
		if refused != nil {
			deployment.Status.Conditions = []appsv1.DeploymentCondition{{
				Type:    appsv1.DeploymentReplicaFailure,
				Status:  corev1.ConditionTrue,
				Reason:  "FailedCreate",
				Message: refused.Error(),
			}}
		}
		require.NoError(t, env.client.Status().Update(f.t.Context(), deployment))
	})
	return pod
}

// Kubernetes refuses the pods of a Deployment that it has taken. The user sees why at once.
func TestStatusShowsRefusedPods(t *testing.T) {
	t.Parallel()
	list := func(name corev1.ResourceName, value string) corev1.ResourceList {
		return corev1.ResourceList{name: resource.MustParse(value)}
	}
	quota := func(hard corev1.ResourceList) func(*testing.T, string) {
		return func(t *testing.T, namespace string) {
			one := &corev1.ResourceQuota{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "quota"},
				Spec:       corev1.ResourceQuotaSpec{Hard: hard},
			}
			require.NoError(t, env.client.Create(t.Context(), one))
			// The part of the quota controller.
			one.Status.Hard, one.Status.Used = hard, corev1.ResourceList{}
			for name := range hard {
				one.Status.Used[name] = resource.MustParse("0")
			}
			require.NoError(t, env.client.Status().Update(t.Context(), one))
		}
	}
	limits := func(t *testing.T, namespace string) {
		require.NoError(t, env.client.Create(t.Context(), &corev1.LimitRange{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "limits"},
			Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
				Type: corev1.LimitTypeContainer,
				Max:  list(corev1.ResourceMemory, "64Mi"),
			}}},
		}))
	}
	nothing := func(*testing.T, string) {}
	for title, c := range map[string]struct {
		prepare func(*testing.T, string)
		spec    string
		words   []string
	}{
		"quota": {quota(list(corev1.ResourcePods, "0")), "{}", []string{"exceeded quota", "spec.replicas"}},
		"quota's limit": {quota(list(corev1.ResourceLimitsCPU, "1")), "{}",
			[]string{"must specify limits.cpu", "spec.resources"}},
		"limit range": {limits, "resources: {limits: {memory: 1Gi}}", []string{"64Mi", "within the LimitRange"}},
		"priority":    {nothing, "pod: {priorityClassName: not-there}", []string{"not-there", "spec.pod.priorityClassName"}},
	} {
		t.Run(title, func(t *testing.T) {
			o := startOperator(t)
			c.prepare(t, o.namespace)
			f := createFleet(t, o.namespace, "fleet", c.spec)
			createPodOf(t, f, gatewayDeployment)
			f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonPodsRefused, c.words...)
			f.eventuallyCondition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonNoneServing, c.words...)
			f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonPodsRefused, c.words...)
		})
	}
}

// setContainer does the kubelet's part.
func setContainer(t *testing.T, pod *corev1.Pod, container corev1.ContainerStatus) {
	t.Helper()
	container.Name, container.Image = pod.Spec.Containers[0].Name, pod.Spec.Containers[0].Image
	pod.Status = corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{container}}
	require.NoError(t, env.client.Status().Update(t.Context(), pod))
}

func waitingFor(reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message},
	}}
}

// A container's trouble shows within seconds, and goes when the spec is corrected.
func TestStatusShowsTroubleOfContainers(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	redis := createPodOf(t, f, redisDeployment)
	setContainer(t, redis, waitingFor("ErrImagePull", "no such image"))
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionFalse, v1alpha1.ReasonImagePullFailed,
		redisImage, "no such image", "--redis-image")
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonImagePullFailed, redisImage)

	pod := createPodOf(t, f, gatewayDeployment)
	require.Equal(t, corev1.TerminationMessageFallbackToLogsOnError, pod.Spec.Containers[0].TerminationMessagePolicy)
	setContainer(t, pod, waitingFor("CreateContainerConfigError", `secret "mine" not found`))
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonContainerNotStarted,
		`"mine"`)

	crashing := waitingFor("CrashLoopBackOff", "back-off 10s restarting failed container")
	crashing.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
		ExitCode: 2,
		Message:  "wsfleet-gateway: log-level (environment WSFLEET_LOG_LEVEL): \"loud\" is not known\n",
	}
	setContainer(t, pod, crashing)
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonCrashLooping,
		"exit code 2", "WSFLEET_LOG_LEVEL", "spec.pod.env")
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonCrashLooping, "WSFLEET_LOG_LEVEL")

	setContainer(t, pod, corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonScaling)
}

// Another client has paused the Deployment, so that a change of the spec reaches no pod.
func TestStatusShowsAPausedDeployment(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()
	f.eventually(func(t *assert.CollectT) {
		deployment := f.getDeployment(t, gatewayDeployment)
		deployment.Spec.Paused = true
		require.NoError(t, env.client.Update(f.t.Context(), deployment, otherManager))
	})
	setDeploymentStatus(t, f, gatewayDeployment, 2, 0)
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonRolloutPaused,
		"kubectl rollout resume deployment/fleet-gateway")
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonRolloutPaused, "fleet-gateway")
}

// A Secret that cannot be mounted shows in the pod's events only.
func TestStatusShowsWhatCannotBeMounted(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	pod := createPodOf(t, f, gatewayDeployment)
	require.NoError(t, env.client.Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: f.namespace, Name: "mount"},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: f.namespace, Name: pod.Name, UID: pod.UID},
		Type:           corev1.EventTypeWarning,
		Reason:         "FailedMount",
		Message:        `MountVolume.SetUp failed for volume "tls" : secret "not-there" not found`,
		LastTimestamp:  metav1.Now(),
	}))
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodPending,
		Conditions: []corev1.PodCondition{{
			Type:               corev1.PodScheduled,
			Status:             corev1.ConditionTrue,
			LastTransitionTime: metav1.NewTime(time.Now().Add(-time.Minute)),
		}, {
			Type:   corev1.PodReady,
			Status: corev1.ConditionFalse,
		}},
		ContainerStatuses: []corev1.ContainerStatus{waitingFor("ContainerCreating", "")},
	}
	pod.Status.ContainerStatuses[0].Name = pod.Spec.Containers[0].Name
	require.NoError(t, env.client.Status().Update(t.Context(), pod))
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonContainerNotStarted,
		`secret "not-there" not found`)
}
