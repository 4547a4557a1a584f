package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
)

// setDeploymentStatus is the Deployment controller's part: all replicas are there and available.
func setDeploymentStatus(t *testing.T, f *fleet, c child, replicas, updated int32) {
	t.Helper()
	require.Eventually(t, func() bool {
		var deployment appsv1.Deployment
		require.NoError(t, env.client.Get(t.Context(), types.NamespacedName{Namespace: f.namespace, Name: c.name(f.name)}, &deployment))
		deployment.Status = appsv1.DeploymentStatus{
			ObservedGeneration: deployment.Generation, Replicas: replicas, UpdatedReplicas: updated,
			ReadyReplicas: replicas, AvailableReplicas: replicas,
		}
		return env.client.Status().Update(t.Context(), &deployment) == nil
	}, patience, pollEvery)
}

// rollOut is what the Deployment controller does of the newest spec, once the operator has told it.
func (f *fleet) rollOut() {
	f.t.Helper()
	f.eventually(func(t *assert.CollectT) {
		// First this: a Deployment that is read before may not be the one that the status speaks of.
		cluster := f.get(t)
		require.Equal(t, cluster.Generation, cluster.Status.ObservedGeneration)
		var deployment appsv1.Deployment
		require.NoError(t, env.client.Get(f.t.Context(), types.NamespacedName{Namespace: f.namespace, Name: gatewayDeployment.name(f.name)}, &deployment))
		replicas := *deployment.Spec.Replicas
		deployment.Status = appsv1.DeploymentStatus{
			ObservedGeneration: deployment.Generation, Replicas: replicas, UpdatedReplicas: replicas,
			ReadyReplicas: replicas, AvailableReplicas: replicas,
		}
		require.NoError(t, env.client.Status().Update(f.t.Context(), &deployment))
	})
}
