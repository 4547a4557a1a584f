package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/discovery"
)

// servedSince reports whether the API server is of that Kubernetes or a later one.
func servedSince(t *testing.T, kubernetes string) bool {
	t.Helper()
	client, err := discovery.NewDiscoveryClientForConfig(env.config)
	require.NoError(t, err)
	answer, err := client.ServerVersionWithContext(t.Context())
	require.NoError(t, err)
	return version.MustParse(answer.GitVersion).AtLeast(version.MustParse(kubernetes))
}

// An API server that does not know a field yet, or has switched it off, drops it. The operator does not write the
// object again for that.
func TestReconcilerIsSteadyWhereAFieldIsDropped(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "autoscaling: {maxReplicas: 5, "+
		"behavior: {scaleUp: {tolerance: 50m}, scaleDown: {tolerance: 150m}}}")
	f.eventuallyHas(gatewayAutoscaler)
	f.eventuallySettled()
	o.awaitQuiet()
	want := ""
	if servedSince(t, "1.35") {
		want = "50m"
	}
	require.Equal(t, want, read(t, gatewayAutoscaler.get(t, f), ".spec.behavior.scaleUp.tolerance"))

	before := len(writesBy(t, operatorUser, o.namespace))
	f.touch("again")
	o.awaitQuiet()
	require.Empty(t, writesBy(t, operatorUser, o.namespace)[before:])
}
