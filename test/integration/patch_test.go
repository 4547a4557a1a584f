package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// A patch that the operator or the API server refuses leaves the running fleet as it was, with its configuration.
func TestStatusShowsRefusedPatches(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		patch, reason string
		words         []string
	}{
		"protected field": {"{deployment: {spec: {replicas: 9}}}", v1alpha1.ReasonPatchInvalid,
			[]string{"spec.patch.deployment", "spec.replicas", "remove it"}},
		"unknown field": {"{deployment: {spec: {minReadySecond: 9}}}", v1alpha1.ReasonPatchInvalid,
			[]string{"spec.patch.deployment", "minReadySecond"}},
		"value that the API server refuses": {
			"{deployment: {spec: {template: {spec: {containers: [{name: gateway, imagePullPolicy: Sometimes}]}}}}}",
			v1alpha1.ReasonApplyRefused, []string{"Deployment", "imagePullPolicy", "spec.patch.deployment"}},
	} {
		t.Run(title, func(t *testing.T) {
			o := startOperator(t)
			f := createFleet(t, o.namespace, "fleet", "{}")
			f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
			deployment, configured := gatewayDeployment.get(t, f), gatewayDeployment.get(t, f)
			f.setSpec("{gateway: {maxConnections: 7}, patch: " + c.patch + "}")
			f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, c.reason, c.words...)
			f.eventuallyEvent(corev1.EventTypeWarning, c.reason, c.words...)
			requireUntouched(t, f, gatewayDeployment, deployment)
			requireUntouched(t, f, gatewayDeployment, configured)

			f.setSpec("{}")
			f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
		})
	}
}

// A bad patch of one object does not keep the operator from writing the others.
func TestReconcilerWritesObjectsBesideABadPatch(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallyHas(gatewayDeployment, gatewayService)
	service := gatewayService.get(t, f)
	f.setSpec("{gateway: {maxConnections: 7}, patch: {service: {spec: {selector: {a: b}}}}}")
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonPatchInvalid,
		"spec.patch.service")
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "7", read(t, gatewayDeployment.get(t, f), setting+"max-connections"))
	})
	requireUntouched(t, f, gatewayService, service)
}

// What a patch sets is restored when another client changes it, and left alone when the patch is gone.
func TestReconcilerRestoresPatchedFields(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "patch: {service: {spec: {internalTrafficPolicy: Local}}}")
	policy := func(want string) {
		t.Helper()
		f.eventually(func(t *assert.CollectT) {
			assert.Equal(t, want, read(t, gatewayService.get(t, f), ".spec.internalTrafficPolicy"))
		})
	}
	f.eventuallyHas(gatewayService)
	policy("Local")
	change := []byte(`{"spec":{"internalTrafficPolicy":"Cluster"}}`)
	patch := client.RawPatch(types.MergePatchType, change)
	require.NoError(t, env.client.Patch(t.Context(), gatewayService.empty(f.namespace, f.name), patch, otherManager))
	policy("Local")
	f.setSpec("{}")
	policy("Cluster")
}
