package integration

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// A fleet that does not change causes no write: an ingress controller that reloads on every write cuts WebSockets. Both
// the API server's audit log and the operator's client are checked.
func TestReconcilerWritesNothingInASteadyState(t *testing.T) {
	o := startOperator(t)
	secret := createSecret(t, o.namespace, "mine", map[string]string{"backend": "value"})
	specs := []string{
		"{}",
		everything,
		"{redis: {}, replicas: 1}",
		"{redis: {external: {addresses: ['r:6379']}}, " +
			"gateway: {auth: {apiKeySecretRef: {name: mine, key: backend}}}}",
		"{replicas: 0, service: {type: LoadBalancer}}",
		// Kubernetes adds defaults to these fields and rewrites quantities.
		"{resources: {limits: {cpu: 1000m, memory: 0.5Gi}}, " +
			"pod: {tolerations: [{operator: Exists}], " +
			"env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]}, " +
			"autoscaling: {maxReplicas: 5, cpuUtilizationPercent: 50, " +
			"behavior: {scaleUp: {policies: [{type: Pods, value: 2, periodSeconds: 60}]}}}}",
	}
	var fleets []*fleet
	for i, spec := range specs {
		fleets = append(fleets, createFleet(t, o.namespace, fmt.Sprintf("fleet-%d", i), spec))
	}
	for _, f := range fleets {
		f.eventuallySettled()
		f.eventuallyHas(gatewayDeployment, gatewayService)
	}
	o.awaitQuiet()

	recorded, sent := len(writesBy(t, operatorUser, o.namespace)), o.sent.writes()
	require.NotZero(t, recorded)
	require.NotZero(t, sent)
	for round := range 5 {
		reconciles := o.reconciles()
		for _, f := range fleets {
			f.touch(fmt.Sprint("round ", round))
		}
		// A Secret that is written without a change of its content triggers a reconcile too.
		secret.Labels = map[string]string{"round": fmt.Sprint(round)}
		require.NoError(t, env.client.Update(t.Context(), secret))
		o.awaitReconciles(reconciles + len(fleets))
	}
	o.awaitQuiet()
	all := writesBy(t, operatorUser, o.namespace)
	require.Empty(t, all[recorded:], "the API server recorded writes of a steady state")
	require.Equal(t, sent, o.sent.writes(), "the operator sent writes in a steady state")
}
