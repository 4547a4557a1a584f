package status

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// redisStartedAt returns when the managed Redis that serves now was started. While none serves it returns what the
// previous status has, so that a restart shows when the next one serves. It returns nil without a managed Redis.
func redisStartedAt(o Observation) *metav1.Time {
	if o.spec().Redis.Managed == nil {
		return nil
	}
	if o.Redis != nil && o.Redis.Status.AvailableReplicas > 0 {
		for i := range o.RedisPods {
			if startedAt := runningSince(&o.RedisPods[i]); startedAt != nil {
				return startedAt
			}
		}
	}
	return o.Cluster.Status.RedisStartedAt
}

// runningSince returns when the Redis of a pod that is ready was started, and nil for another pod.
func runningSince(pod *corev1.Pod) *metav1.Time {
	if !(gateway{pod: pod}).ready() {
		return nil
	}
	for _, container := range pod.Status.ContainerStatuses {
		if container.Name == render.ComponentRedis && container.State.Running != nil {
			startedAt := container.State.Running.StartedAt
			return &startedAt
		}
	}
	return nil
}

// RedisRestart describes a restart of the managed Redis between two statuses, for an event. lost reports whether all of
// its data is gone. The message is empty where Redis was not restarted.
func RedisRestart(before, after v1alpha1.WebSocketClusterStatus,
	redis *v1alpha1.RedisSpec) (message string, lost bool) {
	if before.RedisStartedAt == nil || after.RedisStartedAt == nil || before.RedisStartedAt.Equal(after.RedisStartedAt) {
		return "", false
	}
	if redis.Managed != nil && redis.Managed.Storage != nil {
		return "the managed Redis was started again: it has kept revocations and results of idempotent publishes on its " +
			"volume; histories begin anew, so clients that recover load their state again", false
	}
	return "the managed Redis was started again without its data: histories, revocations and results of idempotent " +
		"publishes are gone; set spec.redis.managed.storage or spec.redis.external to keep them", true
}
