package integration

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/metricsapi"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

const withAutoscaling = "{autoscaling: {minReplicas: 2, maxReplicas: 5}}"

// setScaling does the part of the HorizontalPodAutoscaler's controller: it says, since a while, how it works.
func (f *fleet) setScaling(status corev1.ConditionStatus, reason, message string) {
	f.t.Helper()
	f.eventuallyHas(gatewayAutoscaler)
	key := types.NamespacedName{Namespace: f.namespace, Name: gatewayAutoscaler.name(f.name)}
	var hpa autoscalingv2.HorizontalPodAutoscaler
	require.NoError(f.t, env.client.Get(f.t.Context(), key, &hpa))
	hpa.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{
		{
			Type:               autoscalingv2.ScalingActive,
			Status:             status,
			Reason:             reason,
			Message:            message,
			LastTransitionTime: metav1.NewTime(time.Now().Add(-2 * time.Minute)),
		},
	}
	require.NoError(f.t, env.client.Status().Update(f.t.Context(), &hpa, client.FieldOwner("kube-controller-manager")))
}

// The condition is the autoscaler's own word. An API that is served is not enough: it may lack the metric.
func TestMetricsAvailableIsTheAutoscalersOwnWord(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", withAutoscaling)
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionUnknown, v1alpha1.ReasonAutoscalerPending)

	f.setScaling(corev1.ConditionTrue, "ValidMetricFound", "it works")
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionTrue, v1alpha1.ReasonMetricsServed)

	f.setScaling(corev1.ConditionFalse, "AmbiguousSelector", "pods are selected by multiple HPAs")
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionFalse, v1alpha1.ReasonSecondAutoscaler,
		"pods are selected by multiple HPAs")
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonSecondAutoscaler, "multiple HPAs")

	f.setScaling(corev1.ConditionFalse, "ScalingDisabled", "the replica count is zero")
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionTrue, v1alpha1.ReasonScalingDisabled)
	f.setSpec("{}")
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionTrue, v1alpha1.ReasonNotNeeded)
}

// The values of metrics in a HorizontalPodAutoscaler's status change all the time. They cause no reconcile.
func TestAutoscalerStatusCausesNoReconcile(t *testing.T) {
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", withAutoscaling)
	f.setScaling(corev1.ConditionTrue, "ValidMetricFound", "it works")
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionTrue, v1alpha1.ReasonMetricsServed)
	o.awaitQuiet()
	before := o.reconciles()
	for _, message := range []string{"one", "two", "three"} {
		f.setScaling(corev1.ConditionTrue, "ValidMetricFound", message)
	}
	o.awaitQuiet()
	require.Equal(t, before, o.reconciles())
}

// A second autoscaler of the fleet is named, in a condition and a Warning.
func TestSecondAutoscalerIsNamed(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	deployment := autoscalingv2.CrossVersionObjectReference{
		APIVersion: "apps/v1", Kind: "Deployment", Name: "fleet-gateway",
	}
	cluster := autoscalingv2.CrossVersionObjectReference{
		APIVersion: "wsfleet.dev/v1alpha1", Kind: "WebSocketCluster", Name: "fleet",
	}
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()

	theirs := createAutoscaler(t, o.namespace, deployment)
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionFalse, v1alpha1.ReasonSecondAutoscaler,
		"HorizontalPodAutoscaler theirs", "Deployment fleet-gateway")
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonSecondAutoscaler, "HorizontalPodAutoscaler theirs")

	// One that scales the cluster itself is the user's choice, unless spec.autoscaling does too.
	require.NoError(t, env.client.Delete(t.Context(), theirs))
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionTrue, v1alpha1.ReasonNotNeeded)
	createAutoscaler(t, o.namespace, cluster)
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionTrue, v1alpha1.ReasonNotNeeded, "theirs")
	f.setSpec(withAutoscaling)
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionFalse, v1alpha1.ReasonSecondAutoscaler,
		"HorizontalPodAutoscaler theirs", "WebSocketCluster fleet")
}

// createAutoscaler creates a HorizontalPodAutoscaler as `kubectl autoscale` does.
func createAutoscaler(
	t *testing.T, namespace string, target autoscalingv2.CrossVersionObjectReference,
) *autoscalingv2.HorizontalPodAutoscaler {
	t.Helper()
	hpa := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "theirs"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: target,
			MinReplicas:    new(int32(4)),
			MaxReplicas:    8,
		},
	}
	require.NoError(t, env.client.Create(t.Context(), hpa))
	return hpa
}

// A fleet without an autoscaler that gives a number that is wrong says so.
func TestSilentGatewaysAreSaid(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	g := startFakeGateways(t, f, 1)[0]
	g.awaitScrapes(1)
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionTrue, v1alpha1.ReasonNotNeeded)
	silent := &fakeGateway{f: f}
	silent.createPod(t, "silent", "127.0.0.1:1")
	silent.setReadySince(t, time.Now().Add(-time.Minute))
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionFalse, v1alpha1.ReasonGatewaysSilent,
		"1 of 2 ready gateways", "port 9090")
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonGatewaysSilent, "port 9090")
}

// setReadySince moves the time since when the pod is ready.
func (g *fakeGateway) setReadySince(t *testing.T, since time.Time) {
	t.Helper()
	g.pod.Status.Conditions[0].Status = corev1.ConditionFalse
	require.NoError(t, env.client.Status().Update(t.Context(), g.pod))
	g.pod.Status.Conditions[0].Status = corev1.ConditionTrue
	g.pod.Status.Conditions[0].LastTransitionTime = metav1.NewTime(since)
	require.NoError(t, env.client.Status().Update(t.Context(), g.pod))
}

// A gateway that drains before its deletion leaves the selector of autoscalers, and comes back when it serves again.
func TestDrainingGatewayLeavesTheSelector(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	gateways := startFakeGateways(t, f, 2)
	f.eventually(func(t *assert.CollectT) { assert.Equal(t, "2/2", f.get(t).Status.Ready) })
	awaitSelected := func(want ...string) {
		t.Helper()
		f.eventually(func(t *assert.CollectT) {
			selector, err := labels.Parse(f.get(t).Status.Selector)
			require.NoError(t, err)
			var pods corev1.PodList
			require.NoError(t, env.client.List(f.t.Context(), &pods, client.InNamespace(f.namespace),
				client.MatchingLabelsSelector{Selector: selector}))
			var names []string
			for _, pod := range pods.Items {
				names = append(names, pod.Name)
			}
			assert.ElementsMatch(t, want, names)
		})
	}
	awaitSelected("fleet-gateway-0", "fleet-gateway-1")
	gateways[0].report(func(r *report) { r.State = contract.StateDraining })
	awaitSelected("fleet-gateway-1")
	gateways[0].report(func(r *report) { r.State = contract.StateServing })
	awaitSelected("fleet-gateway-0", "fleet-gateway-1")
}

// Auto gives way to another server of the custom metrics API and comes back when that server is gone. The test does not
// run in parallel: the API is that of all fleets.
func TestMetricsFollowTheOwnerOfTheAPI(t *testing.T) {
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", withAutoscaling)
	own := createFleet(t, o.namespace, "own", "{autoscaling: {maxReplicas: 5, metrics: BuiltIn}}")
	awaitSource := func(f *fleet, source, metricType string) {
		t.Helper()
		f.eventuallyHas(gatewayAutoscaler)
		f.eventually(func(t *assert.CollectT) {
			assert.Equal(t, source, f.get(t).Status.Effective.Metrics)
			assert.Equal(t, metricType, read(t, gatewayAutoscaler.get(t, f), ".spec.metrics[0].type"))
		})
	}
	awaitSource(f, "BuiltIn", "Object")
	f.setScaling(corev1.ConditionFalse, "FailedGetObjectMetric", "no custom metrics API is registered")
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionFalse, v1alpha1.ReasonNoMetricsAPI,
		"no custom metrics API is registered", "install")
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonNoMetricsAPI, "install")

	foreign := registerMetricsServer(t, o.namespace, "adapter", nil)
	awaitSource(f, "Existing", "Pods")
	awaitSource(own, "BuiltIn", "Object")
	f.setScaling(corev1.ConditionFalse, "FailedGetPodsMetric", "the server could not find the metric")
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionFalse, v1alpha1.ReasonMetricUnreadable,
		"the server could not find the metric", "Service "+o.namespace+"/adapter", "spec.autoscaling.existingMetric")

	require.NoError(t, env.client.Delete(t.Context(), foreign))
	awaitSource(f, "BuiltIn", "Object")
}

// registerMetricsServer registers a Service as the server of the custom metrics API until the test ends.
func registerMetricsServer(
	t *testing.T, namespace, service string, labels map[string]string,
) *apiregistrationv1.APIService {
	t.Helper()
	server := &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: "v1beta1.custom.metrics.k8s.io", Labels: labels},
		Spec: apiregistrationv1.APIServiceSpec{
			Group:                 "custom.metrics.k8s.io",
			Version:               "v1beta1",
			Service:               &apiregistrationv1.ServiceReference{Namespace: namespace, Name: service},
			InsecureSkipTLSVerify: true,
			GroupPriorityMinimum:  100,
			VersionPriority:       100,
		},
	}
	require.NoError(t, env.client.Create(t.Context(), server))
	t.Cleanup(func() { _ = env.client.Delete(context.WithoutCancel(t.Context()), server) })
	return server
}

// Where the metrics API is wsfleet's own, the condition says why its pods do not run. The test does not run in
// parallel: the API is that of all fleets.
func TestMetricsAvailableSaysWhyTheMetricsAPIDoesNotRun(t *testing.T) {
	o := startOperator(t)
	registerMetricsServer(t, o.namespace, metricsapi.Name, metricsapi.APIServiceLabels())
	container := corev1.Container{Name: "metrics-api", Image: "example.com/operator:1"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: metricsapi.Name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: metricsapi.PodLabels()},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: metricsapi.PodLabels()},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{container}},
			},
		},
	}
	require.NoError(t, env.client.Create(t.Context(), deployment))
	deployment.Status.Conditions = []appsv1.DeploymentCondition{
		{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota: small"},
	}
	require.NoError(t, env.client.Status().Update(t.Context(), deployment))
	f := createFleet(t, o.namespace, "fleet", withAutoscaling)
	f.setScaling(corev1.ConditionFalse, "FailedGetObjectMetric", "the server is currently unable to handle the request")
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionFalse, v1alpha1.ReasonMetricUnreadable,
		"unable to handle the request", "does not run: Kubernetes refuses to create pods: exceeded quota: small",
		"the resources of its Deployment")
}

// A minimum of 0 requires a metric that exists without pods, and Kubernetes 1.37. An older one refuses the
// HorizontalPodAutoscaler, which the user learns, and the autoscaler stays as it was.
func TestAutoscalerDownToZero(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{autoscaling: {minReplicas: 1, maxReplicas: 5}}")
	f.eventuallyHas(gatewayAutoscaler)
	f.eventuallyReplicas(2)
	f.eventuallySettled()
	require.Contains(t, f.get(t).Status.Selector, "!"+render.LabelDraining)

	f.setSpec("{autoscaling: {minReplicas: 0, maxReplicas: 5}}")
	want := "0"
	if servedSince(t, "1.37") {
		f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	} else {
		want = "1"
		f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonApplyRefused,
			"HorizontalPodAutoscaler fleet-gateway", "minReplicas")
	}
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, want, read(t, gatewayAutoscaler.get(t, f), ".spec.minReplicas"))
	})
	f.eventuallyReplicas(2)
}
