package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// scaleTo sets the replicas as kubectl scale and a HorizontalPodAutoscaler do.
func scaleTo(t *testing.T, cluster client.Object, replicas int32) error {
	t.Helper()
	scale := &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Namespace: cluster.GetNamespace(), Name: cluster.GetName()},
		Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
	}
	return env.client.SubResource("scale").Update(t.Context(), typed(cluster), client.WithSubResourceBody(scale))
}

// typed returns an empty object of the same name: the client of a Scale requires the Go type.
func typed(cluster client.Object) *v1alpha1.WebSocketCluster {
	return &v1alpha1.WebSocketCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: cluster.GetNamespace(), Name: cluster.GetName()},
	}
}

func readScale(t *testing.T, cluster client.Object) *autoscalingv1.Scale {
	t.Helper()
	scale := &autoscalingv1.Scale{}
	require.NoError(t, env.client.SubResource("scale").Get(t.Context(), typed(cluster), scale))
	return scale
}

// The rules hold for clients of the scale subresource too.
func TestScaleSubresourceRefusesReplicas(t *testing.T) {
	t.Parallel()
	cluster := manifest(t, newNamespace(t), "fleet", "{redis: {}, replicas: 1}")
	require.NoError(t, env.client.Create(t.Context(), cluster))

	requireRefused(t, scaleTo(t, cluster, 2), "spec.replicas", msgReplicasNeedRedis)
	requireRefused(t, scaleTo(t, cluster, -1), "spec.replicas", msgBelow(0))
	require.EqualValues(t, 1, readScale(t, cluster).Spec.Replicas)

	require.NoError(t, scaleTo(t, cluster, 0))
	require.EqualValues(t, 0, readScale(t, cluster).Spec.Replicas)
}

func TestScaleSubresourceRefusesTooManyReplicas(t *testing.T) {
	t.Parallel()
	cluster := manifest(t, newNamespace(t), "fleet", "{}")
	require.NoError(t, env.client.Create(t.Context(), cluster))
	requireRefused(t, scaleTo(t, cluster, 10_001), "spec.replicas", msgAbove(10_000))
	require.NoError(t, scaleTo(t, cluster, 10_000))
}

// An autoscaler reads the serving replicas and their selector from the status.
func TestScaleSubresourceShowsTheStatus(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	require.NoError(t, env.client.Create(t.Context(), manifest(t, namespace, "fleet", "replicas: 3")))
	cluster := &v1alpha1.WebSocketCluster{}
	require.NoError(t, env.client.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "fleet"}, cluster))
	cluster.Status.Replicas = 2
	cluster.Status.Selector = "wsfleet.dev/cluster=fleet"
	require.NoError(t, env.client.Status().Update(t.Context(), cluster))

	scale := readScale(t, cluster)
	require.EqualValues(t, 3, scale.Spec.Replicas)
	require.EqualValues(t, 2, scale.Status.Replicas)
	require.Equal(t, "wsfleet.dev/cluster=fleet", scale.Status.Selector)
}
