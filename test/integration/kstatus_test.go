package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// Tools that wait would take a fleet without a status for one that is up to date.
func TestAPIGivesANewFleetAStatus(t *testing.T) {
	t.Parallel()
	created := manifest(t, newNamespace(t), "fleet", "{}")
	require.NoError(t, env.client.Create(t.Context(), created))
	require.NoError(t, env.client.Get(t.Context(), client.ObjectKeyFromObject(created), created))
	result, err := status.Compute(created)
	require.NoError(t, err)
	assert.Equal(t, status.InProgressStatus, result.Status, result.Message)
}

// A fleet that the operator knows is in progress while it has no gateways, also when they crash again and again.
func TestKstatusWaitsForGateways(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{replicas: 2, redis: {external: {addresses: ['r:6379']}}}")
	f.eventuallySettled()
	f.requireKstatus(status.InProgressStatus)

	crashing := waitingFor("CrashLoopBackOff", "back-off 10s restarting failed container")
	crashing.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 2}
	setContainer(t, createPodOf(t, f, gatewayDeployment), crashing)
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonCrashLooping)
	f.requireKstatus(status.InProgressStatus)

	startFakeGateways(t, f, 2)
	f.rollOut()
	f.eventuallyCondition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSettled)
	f.requireKstatus(status.CurrentStatus)
}

// requireKstatus asserts what tools that wait make of the fleet as it is.
func (f *fleet) requireKstatus(want status.Status) {
	f.t.Helper()
	object := manifest(f.t, f.namespace, f.name, "{}")
	require.NoError(f.t, env.client.Get(f.t.Context(), f.key(), object))
	result, err := status.Compute(object)
	require.NoError(f.t, err)
	require.Equal(f.t, want, result.Status, result.Message)
}
