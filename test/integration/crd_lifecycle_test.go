package integration

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// ownEnvironment gives the test a control plane that it shares with no other test. The test must not run in parallel.
func ownEnvironment(t *testing.T) {
	t.Helper()
	own, err := startEnvironment(t.Context())
	require.NoError(t, err)
	shared := env
	env = own
	t.Cleanup(func() {
		env = shared
		require.NoError(t, own.stop())
	})
}

// When the CRD is deleted, all fleets are, in order. The operator goes on, and works again when the CRD is back.
func TestOperatorOutlivesItsCRD(t *testing.T) {
	ownEnvironment(t)
	require.NoError(t, apiextensionsv1.AddToScheme(env.scheme))
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()
	o.awaitQuiet()

	options := envtest.CRDInstallOptions{Paths: []string{crdDirectory}}
	require.NoError(t, envtest.UninstallCRDs(env.config, options))
	// The operator takes the fleet down. The rest is the garbage collector's part.
	f.eventually(func(t *assert.CollectT) { assert.NotNil(t, gatewayDeployment.get(t, f).GetDeletionTimestamp()) })
	removeFinalizers(t, gatewayDeployment, f)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		err := env.client.List(context.Background(), &v1alpha1.WebSocketClusterList{})
		assert.True(t, apierrors.IsNotFound(err), "%v", err)
	}, recoveryTimeout, pollInterval)
	for _, c := range allChildren() {
		require.NoError(t, client.IgnoreNotFound(env.client.Delete(t.Context(), c.empty(o.namespace, f.name))))
	}
	_, err := envtest.InstallCRDs(env.config, options)
	require.NoError(t, err)

	again := createFleet(t, o.namespace, "fleet", "replicas: 3")
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		again.requireCondition(t, v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
		assert.Equal(t, "3", read(t, gatewayDeployment.get(t, again), ".spec.replicas"))
	}, recoveryTimeout, pollInterval)
}
