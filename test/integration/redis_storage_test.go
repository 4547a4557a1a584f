package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// With storage the managed Redis has a volume. It is there before Redis is, keeps its class, and goes when the spec
// asks for none any more.
func TestReconcilerKeepsRedisDataOnAVolume(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet",
		"{replicas: 0, redis: {managed: {storage: {size: 1Gi, storageClassName: fast}}}}")
	f.eventuallyHas(redisVolume, redisDeployment)
	claim := redisVolume.get(t, f)
	require.Equal(t, "1Gi", read(t, claim, ".spec.resources.requests.storage"))
	require.Equal(t, "fast", read(t, claim, ".spec.storageClassName"))
	owner := metav1.GetControllerOf(claim)
	require.NotNil(t, owner)
	require.False(t, *owner.BlockOwnerDeletion, "a deletion in the foreground must not begin with the volume")
	const claimName = pod + `.volumes[?(@.name=="data")].persistentVolumeClaim.claimName`
	require.Equal(t, "fleet-redis", read(t, redisDeployment.get(t, f), claimName))

	f.setSpec("{replicas: 0, redis: {managed: {}}}")
	f.eventually(func(t *assert.CollectT) { assert.Empty(t, read(t, redisDeployment.get(t, f), claimName)) })
	// The API server's protection of claims in use keeps the object; its controller does not run here.
	f.eventually(func(t *assert.CollectT) {
		assert.NotEmpty(t, read(t, redisVolume.get(t, f), ".metadata.deletionTimestamp"))
	})
}

// A volume that the storage class cannot enlarge is refused, and Redis stays as it was.
func TestStatusShowsARefusedVolume(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{replicas: 0, redis: {managed: {storage: {size: 1Gi}}}}")
	f.eventuallyHas(redisVolume, redisDeployment)
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	before := redisDeployment.get(t, f)
	f.setSpec("{replicas: 0, redis: {managed: {storage: {size: 2Gi}, resources: {limits: {cpu: 1}}}}}")
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonApplyRefused,
		"PersistentVolumeClaim fleet-redis")
	requireUntouched(t, f, redisDeployment, before)
}

// The user learns that the managed Redis was started again, and what is lost.
func TestEventsTellOfARestartOfRedis(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "replicas: 1")
	f.eventuallyHas(redisDeployment)
	first := time.Now().Add(-time.Hour).Truncate(time.Second)
	f.runRedis("redis-1", first)
	f.eventually(func(t *assert.CollectT) {
		if startedAt := f.get(t).Status.RedisStartedAt; assert.NotNil(t, startedAt) {
			assert.Equal(t, first.Unix(), startedAt.Unix())
		}
	})

	old := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "redis-1"}}
	require.NoError(t, env.client.Delete(t.Context(), old))
	second := first.Add(time.Minute)
	f.runRedis("redis-2", second)
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonRedisRestarted, "histories", "spec.redis.managed.storage")
	require.Equal(t, second.Unix(), f.get(t).Status.RedisStartedAt.Unix())
}

// runRedis makes a pod of the managed Redis that is ready and was started at that time, and says so in its Deployment.
func (f *fleet) runRedis(name string, startedAt time.Time) {
	f.t.Helper()
	labels := render.SelectorLabels(f.name, render.ComponentRedis)
	labels[render.LabelCluster] = f.name
	redis := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: name, Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: render.ComponentRedis, Image: "redis"}}},
	}
	require.NoError(f.t, env.client.Create(f.t.Context(), redis))
	redis.Status = corev1.PodStatus{
		Phase:      corev1.PodRunning,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name:  render.ComponentRedis,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(startedAt)}},
		}},
	}
	require.NoError(f.t, env.client.Status().Update(f.t.Context(), redis))
	deployment := &appsv1.Deployment{}
	key := types.NamespacedName{Namespace: f.namespace, Name: render.RedisName(f.name)}
	require.NoError(f.t, env.client.Get(f.t.Context(), key, deployment))
	deployment.Status = appsv1.DeploymentStatus{
		ObservedGeneration: deployment.Generation,
		Replicas:           1,
		ReadyReplicas:      1,
		AvailableReplicas:  1,
	}
	require.NoError(f.t, env.client.Status().Update(f.t.Context(), deployment))
}
