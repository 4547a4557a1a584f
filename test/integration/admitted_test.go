package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// gracePolicy makes the grace period of the pods of each Deployment in a namespace 45 seconds.
const gracePolicy = `apiVersion: admissionregistration.k8s.io/VERSION
kind: MutatingAdmissionPolicy
metadata: {name: NAMESPACE}
spec:
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}
  mutations:
  - patchType: JSONPatch
    jsonPatch:
      expression: '[JSONPatch{op: "add", path: "/spec/template/spec/terminationGracePeriodSeconds", value: 45}]'
---
apiVersion: admissionregistration.k8s.io/VERSION
kind: MutatingAdmissionPolicyBinding
metadata: {name: NAMESPACE}
spec: {policyName: NAMESPACE}
`

// probeDeployment is a Deployment that is only created by dry runs.
const probeDeployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: probe, namespace: NAMESPACE}
spec:
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: c}]}}
`

// objectsOf parses YAML documents for a namespace.
func objectsOf(t *testing.T, documents, namespace string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for document := range strings.SplitSeq(strings.ReplaceAll(documents, "NAMESPACE", namespace), "---\n") {
		one := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(document), &one.Object))
		all = append(all, one)
	}
	return all
}

// shortenGracePeriods creates the policy for a namespace, and waits until the API server applies it.
func shortenGracePeriods(t *testing.T, namespace string) {
	t.Helper()
	version := "v1"
	if !servedSince(t, "1.36") {
		version = "v1beta1"
	}
	for _, object := range objectsOf(t, strings.ReplaceAll(gracePolicy, "VERSION", version), namespace) {
		require.NoError(t, env.client.Create(t.Context(), object))
		t.Cleanup(func() { assert.NoError(t, env.client.Delete(context.Background(), object)) })
	}
	ctx, probes := t.Context(), objectsOf(t, probeDeployment, namespace)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		probe := probes[0].DeepCopy()
		require.NoError(t, env.client.Create(ctx, probe, client.DryRunAll))
		assert.Equal(t, "45", read(t, probe, ".spec.template.spec.terminationGracePeriodSeconds"))
	}, waitTimeout, pollInterval)
}

// The status has the grace period that a policy of the cluster's owner gives the gateways, and warns when their drain
// needs more. The operator does not fight the policy, and the gateways follow the spec as ever.
func TestStatusShowsAShortenedGracePeriod(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	shortenGracePeriods(t, o.namespace)
	f := createFleet(t, o.namespace, "fleet", "drain: {propagationDelay: 1s, timeout: 5m}")
	words := []string{"45 instead of 316", "spec.drain.timeout by 271 s"}
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonGracePeriodShortened,
		words...)
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonGracePeriodShortened, words...)
	f.eventually(func(t *assert.CollectT) {
		assert.EqualValues(t, 45, f.get(t).Status.Effective.TerminationGracePeriodSeconds)
	})
	o.awaitQuiet()
	written := len(writesBy(t, operatorUser, o.namespace))
	f.touch("once")
	o.awaitQuiet()
	require.Len(t, writesBy(t, operatorUser, o.namespace), written, "there is nothing to repair")

	f.setSpec("{replicas: 3, drain: {propagationDelay: 1s, timeout: 5s}}")
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	require.Equal(t, "3", fmt.Sprint(*f.getDeployment(t, gatewayDeployment).Spec.Replicas))
}
