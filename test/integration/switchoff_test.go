package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Objects that the spec no longer asks for are deleted, and created again when it does.
func TestReconcilerDeletesWhatIsSwitchedOff(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	// The kind of Redis can be changed only without gateways.
	noReplicas := strings.Replace(everything, "replicas: 3", "replicas: 0", 1)
	managed := []child{redisDeployment, redisService, redisSecret, redisPolicy}
	for _, c := range []struct {
		title, without string
		gone           []child
	}{
		{"ingress", "{replicas: 3, autoscaling: {maxReplicas: 5}}", []child{gatewayIngress}},
		{"autoscaling", "{replicas: 3, ingress: {profile: nginx}}", []child{gatewayAutoscaler}},
		{"one-replica", "{replicas: 1, autoscaling: {maxReplicas: 5}, ingress: {profile: nginx}}", []child{gatewayBudget}},
		{"external-redis", "{replicas: 0, redis: {external: {addresses: ['r:6379']}}}", managed},
		{"no-redis", "{redis: {}, replicas: 0}", managed},
		{"policies", "{replicas: 3, networkPolicy: {enabled: false}}", []child{gatewayPolicy, redisPolicy}},
	} {
		t.Run(c.title, func(t *testing.T) {
			f := createFleet(t, o.namespace, c.title, everything)
			f.eventuallyHas(allChildren()...)
			if strings.Contains(c.without, "replicas: 0") {
				f.setSpec(noReplicas)
			}
			f.setSpec(c.without)
			f.rollOut()
			f.eventuallyLacks(c.gone...)
			f.eventuallyHas(gatewayDeployment, gatewayService, gatewayAccount, adminSecret)
			f.eventuallyEvent(corev1.EventTypeNormal, v1alpha1.ReasonDeleted, c.gone[0].kind.Kind, c.gone[0].name(f.name))
			f.setSpec(noReplicas)
			f.setSpec(everything)
			f.rollOut()
			f.eventuallyHas(allChildren()...)
		})
	}
}

// A fleet leaves its managed Redis while it has no replicas. Gateways that still drain need the Redis until they end.
func TestReconcilerDeletesManagedRedisLast(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallyHas(gatewayDeployment, redisDeployment, redisService, redisSecret)
	setDeploymentStatus(t, f, gatewayDeployment, 2, 2)
	old := startFakeGateways(t, f, 1)[0]

	f.setSpec("replicas: 0")
	f.setSpec("{replicas: 0, redis: {external: {addresses: ['r:6379']}}}")
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "[r:6379]", read(t, gatewayDeployment.get(t, f), setting+contract.KeyRedisAddresses))
	})
	setDeploymentStatus(t, f, gatewayDeployment, 1, 0)
	o.awaitQuiet()
	f.eventuallyHas(redisDeployment, redisService, redisSecret)

	// The operator may get the Deployment's status before the pod's.
	setDeploymentStatus(t, f, gatewayDeployment, 0, 0)
	o.awaitQuiet()
	f.eventuallyHas(redisDeployment, redisService, redisSecret)
	require.NoError(t, env.client.Delete(t.Context(), old.pod))
	o.awaitQuiet()
	f.eventuallyHas(redisDeployment, redisService, redisSecret)

	old.remove(t)
	f.eventuallyLacks(redisDeployment, redisService, redisSecret)
}

// A foreign object is not deleted when the spec no longer asks for one of its name.
func TestReconcilerDeletesNoForeignObjects(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	theirs := createForeign(t, gatewayIngress, o.namespace, "fleet")
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()
	f.setSpec(`{ingress: {profile: nginx}}`)
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonForeignObject,
		"Ingress fleet-gateway")
	f.setSpec(`{}`)
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	require.Equal(t, theirs.GetResourceVersion(), gatewayIngress.get(t, f).GetResourceVersion())
}
