package status

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

func TestRedisRestart(t *testing.T) {
	at := func(seconds int64) v1alpha1.WebSocketClusterStatus {
		startedAt := metav1.Unix(seconds, 0)
		return v1alpha1.WebSocketClusterStatus{RedisStartedAt: &startedAt}
	}
	var never v1alpha1.WebSocketClusterStatus
	plain := &v1alpha1.RedisSpec{Managed: &v1alpha1.ManagedRedis{}}
	stored := &v1alpha1.RedisSpec{Managed: &v1alpha1.ManagedRedis{Storage: &v1alpha1.RedisStorage{}}}
	for name, c := range map[string]struct {
		before, after v1alpha1.WebSocketClusterStatus
		redis         *v1alpha1.RedisSpec
		message       string
		lost          bool
	}{
		"first start":         {never, at(1), plain, "", false},
		"the same":            {at(1), at(1), plain, "", false},
		"no managed Redis":    {at(1), never, &v1alpha1.RedisSpec{}, "", false},
		"again":               {at(1), at(2), plain, "histories, revocations", true},
		"again with a volume": {at(1), at(2), stored, "has kept revocations", false},
	} {
		t.Run(name, func(t *testing.T) {
			message, lost := RedisRestart(c.before, c.after, c.redis)
			assert.Equal(t, c.lost, lost)
			if c.message == "" {
				assert.Empty(t, message)
			} else {
				assert.Contains(t, message, c.message)
			}
		})
	}
}

// The start of a Redis counts when it serves. Until then the status has the start of the one before.
func TestRedisStartedAt(t *testing.T) {
	before, now := metav1.Unix(1, 0), metav1.Unix(2, 0)
	pod := corev1.Pod{Status: corev1.PodStatus{
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name:  "redis",
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		}},
	}}
	observed := func(changes ...change) Observation {
		o := settled(changes...)
		o.Cluster.Status.RedisStartedAt = &before
		o.RedisPods = []corev1.Pod{pod}
		return o
	}
	assert.Equal(t, &now, redisStartedAt(observed()))
	assert.Equal(t, &before, redisStartedAt(observed(func(o *Observation) { o.Redis.Status.AvailableReplicas = 0 })))
	assert.Nil(t,
		redisStartedAt(observed(spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Redis = &v1alpha1.RedisSpec{} }))))
}
