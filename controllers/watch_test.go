package controllers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

func TestNamedSecrets(t *testing.T) {
	assert.Empty(t, namedSecrets(&v1alpha1.WebSocketCluster{}))
	assert.Empty(t, namedSecrets(&corev1.Pod{}))
	cluster := &v1alpha1.WebSocketCluster{}
	ref := func(name string) *v1alpha1.SecretKeyReference { return &v1alpha1.SecretKeyReference{Name: name} }
	cluster.Spec.Gateway.Auth = v1alpha1.AuthSpec{
		APIKeySecretRef: ref("api"), PreviousAPIKeySecretRef: ref("api"),
		JWT: &v1alpha1.JWTSpec{SecretRef: ref("jwt"), PreviousSecretRef: ref("jwt-before")},
	}
	cluster.Spec.Gateway.Hooks = &v1alpha1.HooksSpec{SecretRef: ref("hooks")}
	cluster.Spec.Redis = &v1alpha1.RedisSpec{External: &v1alpha1.ExternalRedis{
		CredentialsSecretRef: &v1alpha1.LocalReference{Name: "redis"},
	}}
	assert.Equal(t, []string{"api", "hooks", "jwt", "jwt-before", "redis"}, namedSecrets(cluster))
}

func TestClusterOfLabel(t *testing.T) {
	assert.Empty(t, clusterOfLabel(t.Context(), &corev1.Pod{}))
	requests := clusterOfLabel(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "team", Labels: map[string]string{render.LabelCluster: "demo"},
	}})
	require.Len(t, requests, 1)
	assert.Equal(t, "team/demo", requests[0].String())
}

func TestPodStateChanged(t *testing.T) {
	pod := func(change func(*corev1.Pod)) *corev1.Pod {
		one := &corev1.Pod{Status: corev1.PodStatus{
			Phase:      corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}},
		}}
		change(one)
		return one
	}
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   bool
	}{
		"nothing that a status shows": {func(p *corev1.Pod) { p.Annotations = map[string]string{"a": "b"} }, false},
		"became ready":                {func(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionTrue }, true},
		"is being deleted":            {func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }, true},
		"ended":                       {func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, true},
	} {
		t.Run(name, func(t *testing.T) {
			before, now := pod(func(*corev1.Pod) {}), pod(c.change)
			assert.Equal(t, c.want, podStateChanged().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: now}))
		})
	}
}
