package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// A change that the API server refuses leaves the running fleet as it was.
func TestReconcilerIgnoresRefusedChanges(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFull(t, o)
	o.awaitQuiet()
	before := writesBy(t, operatorUser, o.namespace)
	for _, c := range []struct{ spec, field, msg string }{
		{"{replicas: 3, redis: {}}", "spec.replicas", msgReplicasNeedRedis},
		{"replicas: -1", "spec.replicas", msgBelow(0)},
		{"drain: {timeout: 5 minutes}", "spec.drain.timeout", msgDrainTimeout},
	} {
		requireRefused(t, f.trySpec(c.spec), c.field, c.msg)
	}
	f.touch("after the refusals")
	o.awaitQuiet()
	require.Equal(t, before, writesBy(t, operatorUser, o.namespace))
}

// Some values are validated only with the object that they become part of. The answer shows in a condition and an
// event, and the running fleet stays as it was.
func TestStatusShowsRefusedApplies(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		spec  string
		child child
		words []string
	}{
		"resources": {"{gateway: {maxConnections: 7}, resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}}",
			gatewayDeployment, []string{"Deployment", "resources"}},
		"pod tolerations": {"{drain: {timeout: 1m}, pod: {tolerations: [{key: 'not a key', operator: Exists}]}}",
			gatewayDeployment, []string{"Deployment", "tolerations"}},
		"tls hosts": {"ingress: {profile: nginx, tls: [{hosts: ['not a host']}]}", gatewayIngress,
			[]string{"Ingress", "host"}},
	} {
		t.Run(title, func(t *testing.T) {
			o := startOperator(t)
			f := createFleet(t, o.namespace, "fleet", "ingress: {profile: nginx}")
			f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
			before, gateways := c.child.get(t, f), gatewayDeployment.get(t, f)
			f.setSpec(c.spec)
			f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonApplyRefused, c.words...)
			f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonApplyRefused, c.words...)
			require.Equal(t, before.Object["spec"], c.child.get(t, f).Object["spec"])
			requireUntouched(t, f, gatewayDeployment, gateways)

			f.setSpec("ingress: {profile: nginx}")
			f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
		})
	}
}
