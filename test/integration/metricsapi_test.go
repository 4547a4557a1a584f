package integration

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// An autoscaler without a metrics API does nothing, and the user learns that from the status. The test does not run in
// parallel: the API is served to all fleets or to none.
func TestStatusShowsTheMetricsAPI(t *testing.T) {
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "autoscaling: {maxReplicas: 5}")
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionFalse, v1alpha1.ReasonNoMetricsAPI,
		"spec.autoscaling", "custom.metrics.k8s.io")
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonNoMetricsAPI, "spec.autoscaling")
	o.stop()

	// An operator keeps the answer for a minute. A new operator asks.
	serveMetricsAPI(t)
	o.start()
	f.touch("after the restart")
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionTrue, v1alpha1.ReasonMetricsServed)
}

// serveMetricsAPI makes the API server serve the group custom.metrics.k8s.io, as an adapter would.
func serveMetricsAPI(t *testing.T) {
	t.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{
			Name:        "metricvalues.custom.metrics.k8s.io",
			Annotations: map[string]string{"api-approved.kubernetes.io": "unapproved, for a test"},
		},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "custom.metrics.k8s.io",
			Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{
				Plural:   "metricvalues",
				Singular: "metricvalue",
				Kind:     "MetricValue",
				ListKind: "MetricValueList",
			},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name:    "v1beta2",
				Served:  true,
				Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{
					OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"},
				},
			}},
		},
	}
	_, err := envtest.InstallCRDs(env.config,
		envtest.CRDInstallOptions{CRDs: []*apiextensionsv1.CustomResourceDefinition{crd}})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t,
			envtest.UninstallCRDs(env.config, envtest.CRDInstallOptions{CRDs: []*apiextensionsv1.CustomResourceDefinition{crd}}))
		awaitNoMetricsAPI(t)
	})
}

// awaitNoMetricsAPI waits until the API server no longer serves the group, for the tests that follow.
func awaitNoMetricsAPI(t *testing.T) {
	t.Helper()
	disco, err := discovery.NewDiscoveryClientForConfig(env.config)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		// Not the test's context, which has ended before the cleanups.
		err := disco.RESTClient().Get().AbsPath("/apis/custom.metrics.k8s.io/v1beta2").Do(context.Background()).Error()
		return apierrors.IsNotFound(err)
	}, waitTimeout, pollInterval)
}
