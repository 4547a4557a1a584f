package integration

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

const containerImage = ".spec.template.spec.containers[0].image"

// nextRelease is what an operator of the next release runs.
func nextRelease() render.Images {
	return render.Images{Gateway: gatewayImage + "-next", Redis: redisImage + "-next"}
}

// upgradeOperator replaces the operator by one of the next release.
func upgradeOperator(o *operator) {
	o.stop()
	o.images = nextRelease()
	o.start()
}

// requireImage asserts that a Deployment has the image.
func requireImage(t require.TestingT, f *fleet, c child, image string) {
	assert.Equal(f.t, image, read(f.t, c.get(t, f), containerImage))
}

// A new release of the operator replaces the gateways of one fleet after the other, and no managed Redis.
func TestUpgradeRollsOneFleetAfterTheOther(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	const spec = "{metadata: {annotations: {team: messaging}}}"
	a, b := createFleet(t, o.namespace, "a", spec), createFleet(t, o.namespace, "b", spec)
	for _, f := range []*fleet{a, b} {
		startFakeGateways(t, f, 1)
		f.rollOut()
		setDeploymentStatus(t, f, redisDeployment, 1, 1)
	}
	upgradeOperator(o)

	image := func(f *fleet) string { return read(t, gatewayDeployment.get(t, f), containerImage) }
	first, second := a, b
	a.eventually(func(t *assert.CollectT) {
		assert.True(t, image(a) != gatewayImage || image(b) != gatewayImage, "no fleet is upgraded")
	})
	if image(a) == gatewayImage {
		first, second = b, a
	}
	second.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonUpgradeQueued,
		"1 fleets before this one")
	requireImage(t, second, gatewayDeployment, gatewayImage)

	// While it waits, it is scaled, and its pods keep their version.
	second.patchReplicas(3)
	second.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "3", read(second.t, gatewayDeployment.get(t, second), ".spec.replicas"))
	})
	requireImage(t, second, gatewayDeployment, gatewayImage)
	require.Equal(t, "messaging", gatewayDeployment.get(t, second).GetAnnotations()["team"])

	first.rollOut()
	second.eventually(func(t *assert.CollectT) { assert.Equal(t, nextRelease().Gateway, image(second)) })
	second.rollOut()
	second.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonSettled)
	for _, f := range []*fleet{a, b} {
		requireImage(t, f, redisDeployment, redisImage)
	}
}

// patchReplicas changes the size of the fleet, as an autoscaler does.
func (f *fleet) patchReplicas(replicas int) {
	f.t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	require.NoError(f.t, env.client.Patch(f.t.Context(), f.get(f.t), client.RawPatch(types.MergePatchType, patch)))
}

// A change of the spec does not wait for the fleets of others. An annotation asks for a new Redis.
func TestUpgradeDoesNotWaitForAChangeOfTheSpec(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	a, b := createFleet(t, o.namespace, "a", "{}"), createFleet(t, o.namespace, "b", "{}")
	for _, f := range []*fleet{a, b} {
		startFakeGateways(t, f, 1)
		f.rollOut()
		setDeploymentStatus(t, f, redisDeployment, 1, 1)
	}
	upgradeOperator(o)
	image := func(t require.TestingT, f *fleet, c child) string { return read(f.t, c.get(t, f), containerImage) }
	a.eventually(func(t *assert.CollectT) {
		assert.True(t, image(t, a, gatewayDeployment) != gatewayImage || image(t, b, gatewayDeployment) != gatewayImage)
	})
	for _, f := range []*fleet{a, b} {
		f.setSpec("gateway: {maxConnections: 5000}")
		f.eventually(func(t *assert.CollectT) {
			assert.Equal(t, nextRelease().Gateway, image(t, f, gatewayDeployment))
		})
		requireImage(t, f, redisDeployment, redisImage)
	}
	a.setSpec("{gateway: {maxConnections: 5000}, metadata: {labels: {team: chat}}}")
	a.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "chat", redisDeployment.get(t, a).GetLabels()["team"])
	})
	requireImage(t, a, redisDeployment, redisImage)
	a.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionTrue, v1alpha1.ReasonConnected,
		v1alpha1.AnnotationUpgradeRedis)
	patch := []byte(`{"metadata":{"annotations":{"` + v1alpha1.AnnotationUpgradeRedis + `":"now"}}}`)
	require.NoError(t, env.client.Patch(t.Context(), a.get(t), client.RawPatch(types.MergePatchType, patch)))
	a.eventually(func(t *assert.CollectT) {
		assert.Equal(t, nextRelease().Redis, image(t, a, redisDeployment))
	})
	requireImage(t, b, redisDeployment, redisImage)
}

// `kubectl rollout restart` works by an annotation of the pod template. The operator's writes must not remove it.
func TestRolloutRestartSurvivesChanges(t *testing.T) {
	t.Parallel()
	const restartedAt = "2030-01-02T03:04:05Z"
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallyHas(gatewayDeployment)
	patch := []byte(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"` +
		restartedAt + `"}}}}}`)
	require.NoError(t, env.client.Patch(t.Context(), gatewayDeployment.get(t, f),
		client.RawPatch(types.StrategicMergePatchType, patch), client.FieldOwner("kubectl-rollout")))
	f.setSpec("gateway: {maxConnections: 5000}")
	f.eventuallySettled()
	o.awaitQuiet()
	require.Equal(t, restartedAt,
		read(t, gatewayDeployment.get(t, f), `.spec.template.metadata.annotations.kubectl\.kubernetes\.io/restartedAt`))
}
