package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// deletionMoments bring a fleet with two gateways into the state in which it is deleted. What they return happens after
// the deletion was requested.
var deletionMoments = map[string]func(t *testing.T, o *operator, f *fleet, gateways []*fakeGateway) (then func()){
	"serving": func(*testing.T, *operator, *fleet, []*fakeGateway) func() { return func() {} },
	"paused": func(_ *testing.T, _ *operator, f *fleet, _ []*fakeGateway) func() {
		f.setSpec("paused: true")
		return func() {}
	},
	"problem": func(_ *testing.T, _ *operator, f *fleet, _ []*fakeGateway) func() {
		f.setSpec("gateway: {auth: {apiKeySecretRef: {name: not-there}}}")
		f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
		return func() {}
	},
	"Redis starts": func(t *testing.T, _ *operator, f *fleet, gateways []*fakeGateway) func() {
		setDeploymentStatus(t, f, redisDeployment, 0, 0)
		for _, g := range gateways {
			g.report(func(r *report) { r.Broker.State = contract.BrokerConnecting })
		}
		f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionFalse, v1alpha1.ReasonRedisStarting)
		return func() {}
	},
	"rollout": func(t *testing.T, _ *operator, f *fleet, gateways []*fakeGateway) func() {
		f.setSpec("gateway: {maxConnections: 5}")
		f.eventually(func(t *assert.CollectT) {
			assert.Equal(t, "5", read(t, gatewayDeployment.get(t, f), setting+contract.KeyMaxConnections))
		})
		setDeploymentStatus(t, f, gatewayDeployment, 2, 1)
		require.NoError(t, env.client.Delete(t.Context(), gateways[0].pod))
		f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonRollingOut)
		f.eventuallyCondition(v1alpha1.ConditionDraining, metav1.ConditionTrue, v1alpha1.ReasonHandingOver)
		return func() {}
	},
	"contested": func(t *testing.T, _ *operator, f *fleet, _ []*fakeGateway) func() {
		for range 3 {
			scaleDeployment(t, f, 4)
			f.eventually(func(t *assert.CollectT) {
				assert.Equal(t, "2", read(t, gatewayDeployment.get(t, f), ".spec.replicas"))
			})
		}
		f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonContested)
		return func() { scaleDeployment(t, f, 5) }
	},
	"no operator": func(_ *testing.T, o *operator, _ *fleet, _ []*fakeGateway) func() {
		o.stop()
		return o.start
	},
}

// Clients of a draining gateway publish through Redis, so Redis stays until the last gateway has ended, whatever the
// fleet was about when it was deleted.
func TestDeletionTakesTheGatewaysDownBeforeRedis(t *testing.T) {
	t.Parallel()
	for title, moment := range deletionMoments {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			o := startOperator(t)
			f := createFleet(t, o.namespace, "fleet", "{}")
			f.eventuallyHas(gatewayDeployment, redisDeployment)
			gateways := startFakeGateways(t, f, 2)
			setDeploymentStatus(t, f, gatewayDeployment, 2, 2)
			f.eventuallySettled()
			then := moment(t, o, f, gateways)

			require.NoError(t, env.client.Delete(t.Context(), f.get(t)))
			then()
			f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonDeleting, "gateways")
			f.eventually(func(t *assert.CollectT) {
				assert.NotNil(t, gatewayDeployment.get(t, f).GetDeletionTimestamp())
			})
			// Nothing is created again.
			require.NoError(t, env.client.Delete(t.Context(), gatewayService.get(t, f)))
			for _, g := range gateways {
				require.NoError(t, env.client.Delete(t.Context(), g.pod))
			}
			f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonDeleting, "2 gateways")
			f.eventuallyCondition(v1alpha1.ConditionDraining, metav1.ConditionTrue, v1alpha1.ReasonHandingOver)
			o.awaitQuiet()
			f.eventuallyLacks(gatewayService)
			gateways[0].remove(t)
			f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonDeleting, "1 gateways")
			for _, c := range []child{redisDeployment, redisService, redisSecret} {
				assert.Nil(t, c.get(t, f).GetDeletionTimestamp(), "%s goes before the gateways", c)
			}

			gateways[1].remove(t)
			o.awaitQuiet()
			f.get(t)
			// This is the garbage collector's part, once the ReplicaSets are gone.
			removeFinalizers(t, gatewayDeployment, f)
			f.eventuallyGone()
			f.collectGarbage()
			o.awaitQuiet()
			require.Empty(t, f.existing())
		})
	}
}

// Garbage collection of a deletion in the foreground begins with the objects that block it.
func TestRedisDoesNotBlockTheOwnersDeletion(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFull(t, o)
	for _, c := range allChildren() {
		owner := metav1.GetControllerOf(c.get(t, f))
		require.NotNil(t, owner, c)
		want := c.suffix != redisDeployment.suffix
		assert.Equal(t, want, owner.BlockOwnerDeletion != nil && *owner.BlockOwnerDeletion, c)
	}
}

// A deletion that leaves the objects must not take the gateways down.
func TestDeletionLeavesOrphans(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallyHas(gatewayDeployment, redisDeployment)
	f.eventuallySettled()
	require.NoError(t,
		env.client.Delete(t.Context(), f.get(t), client.PropagationPolicy(metav1.DeletePropagationOrphan)))
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, []string{metav1.FinalizerOrphanDependents}, f.get(t).Finalizers)
	})
	o.awaitQuiet()
	require.Nil(t, gatewayDeployment.get(t, f).GetDeletionTimestamp())
}

// The finalizer costs a write, and an operator that must be there at the end. Only a fleet that needs it has it.
func TestFinalizerIsOnlyWhereItIsNeeded(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	for title, spec := range map[string]string{
		"external": "redis: {external: {addresses: ['r:6379']}}",
		"none":     "{replicas: 1, redis: {}}",
		"zero":     "replicas: 0",
	} {
		t.Run(title, func(t *testing.T) {
			f := createFleet(t, o.namespace, title, spec)
			f.eventuallySettled()
			o.awaitQuiet()
			require.Empty(t, f.get(t).Finalizers)
			require.NoError(t, env.client.Delete(t.Context(), f.get(t)))
			f.eventuallyGone()
		})
	}
	f := createFleet(t, o.namespace, "managed", "{}")
	f.eventuallySettled()
	o.awaitQuiet()
	require.Equal(t, []string{v1alpha1.FinalizerRedisLast}, f.get(t).Finalizers)
	patches := 0
	for _, w := range writesBy(t, operatorUser, o.namespace) {
		if w.ObjectRef.Resource == "websocketclusters" && w.ObjectRef.Name == "managed" && w.ObjectRef.Subresource == "" {
			patches++
		}
	}
	require.LessOrEqual(t, patches, 2, "the finalizer and the number of gateways")
	f.setSpec("replicas: 0")
	f.setSpec("{replicas: 0, redis: {external: {addresses: ['r:6379']}}}")
	f.eventually(func(t *assert.CollectT) { assert.Empty(t, f.get(t).Finalizers) })
}

// eventuallyGone waits until the WebSocketCluster does not exist.
func (f *fleet) eventuallyGone() {
	f.t.Helper()
	f.eventually(func(t *assert.CollectT) {
		err := env.client.Get(f.t.Context(), f.key(), &v1alpha1.WebSocketCluster{})
		assert.True(t, apierrors.IsNotFound(err), "it is still there (%v)", err)
	})
}

// removeFinalizers does the part of the controllers that have put the finalizers there.
func removeFinalizers(t *testing.T, c child, f *fleet) {
	t.Helper()
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	require.NoError(t, env.client.Patch(t.Context(), c.empty(f.namespace, f.name), patch))
}
