package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

var (
	gatewayMonitor = child{schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "PodMonitor"},
		"gateway"}
	gatewayRules = child{schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "PrometheusRule"},
		"gateway"}
	gatewayDashboard = child{schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, "dashboard"}
)

// rulesSchema merges the groups by their names, as the real schema does.
const rulesSchema = `{type: object, properties: {groups: {type: array, x-kubernetes-list-type: map,
  x-kubernetes-list-map-keys: [name], items: {type: object, required: [name], properties: {name: {type: string},
  rules: {type: array, items: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}}}}`

// Where the Prometheus Operator is installed, its objects are made, repaired and switched off. Where it is not, Auto
// asks for nothing, and a spec that insists is told. The test does not run in parallel: definitions are there for all
// fleets or for none.
func TestReconcilerMakesMonitoringObjects(t *testing.T) {
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	f.setSpec("monitoring: {podMonitor: Enabled, rules: Enabled, dashboards: true}")
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonKindNotInstalled,
		"spec.monitoring.podMonitor is Enabled", "spec.monitoring.rules is Enabled", "Auto or Disabled")
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonKindNotInstalled, "spec.monitoring.podMonitor")
	f.eventuallyHas(gatewayDeployment, gatewayDashboard)

	group := "monitoring.coreos.com"
	definitions := []*apiextensionsv1.CustomResourceDefinition{
		definition(t, group, "v1", "PodMonitor", anySchema), definition(t, group, "v1", "PrometheusRule", rulesSchema),
	}
	remove := install(t, definitions)
	f.eventuallyHas(gatewayMonitor, gatewayRules)
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	o.awaitQuiet()
	before := gatewayRules.get(t, f)
	f.patch(t, gatewayRules, `{"metadata": {"annotations": {"example.com/touched": "yes"}}}`)
	touched := gatewayRules.get(t, f)
	o.awaitQuiet()
	requireUntouched(t, f, gatewayRules, touched)
	f.patch(t, gatewayRules, `{"spec": {"groups": [{"name": "wsfleet.`+f.namespace+`.fleet", "rules": []}]}}`)
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, before.Object["spec"], gatewayRules.get(t, f).Object["spec"])
	})

	f.setSpec("{monitoring: {rules: Enabled}, patch: {podMonitor: {metadata: {labels: {patched: pods}}}, " +
		"prometheusRule: {metadata: {labels: {patched: rules}}}}}")
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "pods", gatewayMonitor.get(t, f).GetLabels()["patched"])
		assert.Equal(t, "rules", gatewayRules.get(t, f).GetLabels()["patched"])
	})
	f.setSpec("monitoring: {podMonitor: Disabled}")
	f.eventuallyLacks(gatewayMonitor, gatewayRules, gatewayDashboard)
	f.setSpec("{}")
	f.eventuallyHas(gatewayMonitor)
	remove()
	f.setSpec("monitoring: {rules: Auto}")
	f.eventuallySettled()
	f.requireCondition(t, v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)

	// Kinds that the spec insists on go and come back, one by one.
	removeMonitors, removeRules := install(t, definitions[:1]), install(t, definitions[1:])
	f.setSpec("monitoring: {podMonitor: Enabled, rules: Enabled}")
	f.eventuallyHas(gatewayMonitor, gatewayRules)
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	deployment := gatewayDeployment.get(t, f)
	removeRules()
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonKindNotInstalled,
		"spec.monitoring.rules is Enabled")
	gatewayMonitor.get(t, f)
	removeMonitors()
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonKindNotInstalled,
		"spec.monitoring.podMonitor is Enabled", "spec.monitoring.rules is Enabled")
	install(t, definitions)
	f.eventuallyHas(gatewayMonitor, gatewayRules)
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	requireUntouched(t, f, gatewayDeployment, deployment)
	require.Empty(t, o.logged("Failed to watch"), "the watches of removed kinds go on")
}
