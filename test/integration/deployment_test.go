package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
)

// setDeploymentStatus does the Deployment controller's part: all replicas exist and are available.
func setDeploymentStatus(t *testing.T, f *fleet, c child, replicas, updated int32) {
	t.Helper()
	require.Eventually(t, func() bool {
		var deployment appsv1.Deployment
		require.NoError(t,
			env.client.Get(t.Context(), types.NamespacedName{Namespace: f.namespace, Name: c.name(f.name)}, &deployment))
		deployment.Status = appsv1.DeploymentStatus{
			ObservedGeneration: deployment.Generation,
			Replicas:           replicas,
			UpdatedReplicas:    updated,
			ReadyReplicas:      replicas,
			AvailableReplicas:  replicas,
		}
		return env.client.Status().Update(t.Context(), &deployment) == nil
	}, waitTimeout, pollInterval)
}

// rollOut does the Deployment controller's part for the newest spec, once the operator has applied it.
func (f *fleet) rollOut() {
	f.t.Helper()
	f.eventually(func(t *assert.CollectT) {
		// The status comes first: a Deployment that was read earlier may be older than the status.
		cluster := f.get(t)
		require.Equal(t, cluster.Generation, cluster.Status.ObservedGeneration)
		var deployment appsv1.Deployment
		require.NoError(t,
			env.client.Get(f.t.Context(), types.NamespacedName{Namespace: f.namespace, Name: gatewayDeployment.name(f.name)},
				&deployment))
		replicas := *deployment.Spec.Replicas
		deployment.Status = appsv1.DeploymentStatus{
			ObservedGeneration: deployment.Generation,
			Replicas:           replicas,
			UpdatedReplicas:    replicas,
			ReadyReplicas:      replicas,
			AvailableReplicas:  replicas,
		}
		require.NoError(t, env.client.Status().Update(f.t.Context(), &deployment))
	})
}
