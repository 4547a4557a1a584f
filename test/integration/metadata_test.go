package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// Labels for all objects are no labels of pods: a change of them restarts nothing.
func TestReconcilerKeepsPodsWhenMetadataChanges(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFull(t, o)
	template := func(c child) any {
		value, _, err := unstructured.NestedFieldCopy(c.get(t, f).Object, "spec", "template")
		require.NoError(t, err)
		return value
	}
	gateways, redis := template(gatewayDeployment), template(redisDeployment)
	f.setSpec("{metadata: {labels: {team: chat}, annotations: {example.com/owner: chat}}, " + everything[1:])
	f.eventually(func(t *assert.CollectT) {
		for _, c := range allChildren() {
			assert.Equal(t, "chat", read(t, c.get(t, f), ".metadata.labels.team"), c)
			assert.Equal(t, "chat", read(t, c.get(t, f), `.metadata.annotations.example\.com/owner`), c)
		}
	})
	require.Equal(t, gateways, template(gatewayDeployment))
	require.Equal(t, redis, template(redisDeployment))
}

// A cluster's policy may want a label on every object.
func TestReconcilerSatisfiesPoliciesByMetadata(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	requireTeamLabel(t, o.namespace)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonApplyRefused,
		"Service fleet-gateway", "the label team is missing")
	f.setSpec("metadata: {labels: {team: chat}}")
	f.eventuallyHas(gatewayService, gatewayDeployment, redisService, redisDeployment)
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}

// requireTeamLabel makes the API server refuse Deployments and Services without the label team in the namespace, and
// waits until it does.
func requireTeamLabel(t *testing.T, namespace string) {
	t.Helper()
	rule := func(group, resource string) admissionv1.NamedRuleWithOperations {
		return admissionv1.NamedRuleWithOperations{RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
			Rule: admissionv1.Rule{
				APIGroups:   []string{group},
				APIVersions: []string{"v1"},
				Resources:   []string{resource},
			},
		}}
	}
	name := namespace + "-team-label"
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				ResourceRules: []admissionv1.NamedRuleWithOperations{rule("apps", "deployments"), rule("", "services")},
			},
			Validations: []admissionv1.Validation{{
				Expression: "has(object.metadata.labels) && 'team' in object.metadata.labels",
				Message:    "the label team is missing",
			}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        name,
			ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			MatchResources: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			},
		},
	}
	require.NoError(t, env.client.Create(t.Context(), policy))
	require.NoError(t, env.client.Create(t.Context(), binding))
	require.Eventually(t, func() bool {
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "probe"},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
		}
		return apierrors.IsInvalid(env.client.Create(t.Context(), service, client.DryRunAll))
	}, waitTimeout, pollInterval)
}
