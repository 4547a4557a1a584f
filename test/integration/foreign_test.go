package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// foreignBodies has an object of every kind that another client might have created.
var foreignBodies = map[string]string{
	"Deployment": "spec: {replicas: 0, selector: {matchLabels: {app: theirs}}, template: {metadata: " +
		"{labels: {app: theirs}}, spec: {containers: [{name: c, image: theirs}]}}}",
	"Service":        "spec: {ports: [{port: 1}], selector: {app: theirs}}",
	"Secret":         "stringData: {theirs: 'yes'}",
	"ServiceAccount": "{}",
	"Ingress":        "spec: {defaultBackend: {service: {name: theirs, port: {number: 1}}}}",
	"HorizontalPodAutoscaler": "spec: {maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: " +
		"theirs}}",
	"PodDisruptionBudget": "spec: {maxUnavailable: 1, selector: {matchLabels: {app: theirs}}}",
}

// createForeign creates a foreign object with the name of one of the fleet's.
func createForeign(t *testing.T, c child, namespace, cluster string) *unstructured.Unstructured {
	t.Helper()
	object := c.empty(namespace, cluster)
	var body map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(foreignBodies[c.kind.Kind]), &body))
	for key, value := range body {
		object.Object[key] = value
	}
	require.NoError(t, env.client.Create(t.Context(), object))
	return object
}

// A foreign object is never written. The status and an event name it, and the fleet heals when it is deleted.
func TestReconcilerLeavesForeignObjectsAlone(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	for _, c := range allChildren() {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			namespace := o.namespace
			name := "f-" + strings.ToLower(c.kind.Kind) + "-" + c.suffix
			theirs := createForeign(t, c, namespace, name)
			f := createFleet(t, namespace, name, everything)

			named := c.kind.Kind + " " + c.name(name)
			f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonForeignObject, named)
			f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonForeignObject, named)
			requireUntouched(t, f, c, theirs)

			// Neither a change of the spec nor another reconcile may touch it.
			f.setSpec("{replicas: 4, autoscaling: {maxReplicas: 5}, ingress: {profile: nginx}, disruption: {maxUnavailable: 2}}")
			f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonForeignObject, named)
			requireUntouched(t, f, c, theirs)

			require.NoError(t, env.client.Delete(t.Context(), theirs))
			f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
			f.eventuallyHas(allChildren()...)
		})
	}
}

// Gateways must not start with a foreign account or token.
func TestReconcilerHoldsGatewaysForForeignInput(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	for _, c := range []child{gatewayAccount, adminSecret} {
		t.Run(c.String(), func(t *testing.T) {
			name := "held-" + strings.ToLower(c.kind.Kind)
			createForeign(t, c, o.namespace, name)
			f := createFleet(t, o.namespace, name, "{}")
			f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonForeignObject,
				c.name(name))
			f.eventuallyLacks(gatewayDeployment)
		})
	}
}

// A cluster that was deleted and created again must not take over objects that the garbage collector is about to
// delete.
func TestReconcilerLeavesObjectsOfAnEarlierClusterAlone(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	first := createFleet(t, o.namespace, "a", standalone)
	first.eventuallySettled()
	owned := gatewayService.get(t, first)
	require.NoError(t, env.client.Delete(t.Context(), first.get(t)))
	second := createFleet(t, o.namespace, "a", "replicas: 3")
	second.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonForeignObject)
	requireUntouched(t, second, gatewayService, owned)
	// The garbage collector would have done this by now.
	for _, c := range allChildren() {
		object := c.empty(o.namespace, "a")
		_ = env.client.Delete(t.Context(), object)
	}
	second.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "3", read(t, gatewayDeployment.get(t, second), ".spec.replicas"))
	})
}

// A fleet with a foreign object in its way is reconciled again and again, but its status is written once.
func TestReconcilerWritesNothingForForeignObjects(t *testing.T) {
	o := startOperator(t)
	for _, c := range allChildren() {
		name := "f-" + strings.ToLower(c.kind.Kind) + "-" + c.suffix
		createForeign(t, c, o.namespace, name)
		f := createFleet(t, o.namespace, name, everything)
		f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonForeignObject,
			c.name(name))
		// Events are written in the background, at any time after the reconcile.
		f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonForeignObject, c.name(name))
	}
	// Let the first statuses settle, then observe three rechecks of each fleet.
	o.awaitReconciles(o.reconciles() + 3*len(allChildren()))
	before := len(writesBy(t, operatorUser, o.namespace))
	o.awaitReconciles(o.reconciles() + 3*len(allChildren()))
	require.Empty(t, writesBy(t, operatorUser, o.namespace)[before:])
}
