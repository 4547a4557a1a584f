package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"
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

// A fleet that the operator knows and that has no gateways yet is in progress.
func TestKstatusWaitsForGateways(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()
	object := manifest(t, f.namespace, f.name, "{}")
	require.NoError(t, env.client.Get(t.Context(), f.key(), object))
	result, err := status.Compute(object)
	require.NoError(t, err)
	assert.Equal(t, status.InProgressStatus, result.Status, result.Message)
}
