package controllers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/wsfleet/wsfleet/controllers/metricsapi"
	"github.com/wsfleet/wsfleet/controllers/render"
)

func autoscalerOf(apiVersion, kind, name string) *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: apiVersion, Kind: kind, Name: name},
	}}
}

func TestScaledCluster(t *testing.T) {
	assert.Equal(t, []string{"demo"}, scaledCluster(autoscalerOf("wsfleet.dev/v1alpha1", "WebSocketCluster", "demo")))
	assert.Equal(t, []string{"demo"}, scaledCluster(autoscalerOf("wsfleet.dev/v2", "WebSocketCluster", "demo")))
	assert.Equal(t, []string{"demo"}, scaledCluster(autoscalerOf("apps/v1", "Deployment", "demo-gateway")))
	for _, other := range []*autoscalingv2.HorizontalPodAutoscaler{
		autoscalerOf("apps/v1", "Deployment", "demo"),
		autoscalerOf("apps/v1", "Deployment", "-gateway"),
		autoscalerOf("apps/v1", "StatefulSet", "demo-gateway"),
		autoscalerOf("example.com/v1", "WebSocketCluster", "demo"),
		autoscalerOf("a/b/c", "Deployment", "demo-gateway"),
	} {
		assert.Empty(t, scaledCluster(other), "%v", other.Spec.ScaleTargetRef)
	}
	assert.Empty(t, scaledCluster(&corev1.Pod{}))
}

// An autoscaler that works changes its status all the time. Only what it cannot do is worth a reconcile.
func TestAutoscalerChanged(t *testing.T) {
	condition := func(status corev1.ConditionStatus, reason string) []autoscalingv2.HorizontalPodAutoscalerCondition {
		return []autoscalingv2.HorizontalPodAutoscalerCondition{{
			Type: autoscalingv2.AbleToScale, Status: status, Reason: reason, LastTransitionTime: metav1.NewTime(time.Now()),
		}}
	}
	before := autoscalerOf("apps/v1", "Deployment", "demo-gateway")
	before.Status.Conditions = condition(corev1.ConditionTrue, "ReadyForNewScale")
	for _, c := range []struct {
		name   string
		change func(*autoscalingv2.HorizontalPodAutoscaler)
		want   bool
	}{
		{"nothing", func(hpa *autoscalingv2.HorizontalPodAutoscaler) { hpa.ResourceVersion = "2" }, false},
		{"a value", func(hpa *autoscalingv2.HorizontalPodAutoscaler) { hpa.Status.CurrentReplicas = 5 }, false},
		{"words of success", func(hpa *autoscalingv2.HorizontalPodAutoscaler) {
			hpa.Status.Conditions = condition(corev1.ConditionTrue, "ScaleDownStabilized")
		}, false},
		{"a failure", func(hpa *autoscalingv2.HorizontalPodAutoscaler) {
			hpa.Status.Conditions = condition(corev1.ConditionFalse, "FailedGetScale")
		}, true},
		{"another target", func(hpa *autoscalingv2.HorizontalPodAutoscaler) {
			hpa.Spec.ScaleTargetRef.Name = "other-gateway"
		}, true},
		{"a lost label", func(hpa *autoscalingv2.HorizontalPodAutoscaler) {
			hpa.Labels = map[string]string{"a": "b"}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			after := before.DeepCopy()
			c.change(after)
			assert.Equal(t, c.want, autoscalerChanged().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}))
		})
	}
}

// The cache has all HorizontalPodAutoscalers of the cluster, so it keeps little of each.
func TestTrimAutoscaler(t *testing.T) {
	hpa := autoscalerOf("apps/v1", "Deployment", "demo-gateway")
	hpa.ObjectMeta = untrimmed()
	hpa.Labels = map[string]string{"other": "label"}
	hpa.Spec.Metrics = make([]autoscalingv2.MetricSpec, 3)
	hpa.Status.CurrentMetrics = make([]autoscalingv2.MetricStatus, 3)
	hpa.Status.Conditions = make([]autoscalingv2.HorizontalPodAutoscalerCondition, 1)
	_, err := trimAutoscaler(hpa)
	require.NoError(t, err)
	assert.Equal(t, autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: hpa.Spec.ScaleTargetRef}, hpa.Spec)
	assert.Len(t, hpa.Status.Conditions, 1)
	assert.Empty(t, hpa.Status.CurrentMetrics)
	assert.Empty(t, hpa.Labels)
	assert.Len(t, hpa.ManagedFields, 1)

	own := autoscalerOf("wsfleet.dev/v1alpha1", "WebSocketCluster", "demo")
	own.ObjectMeta = untrimmed()
	_, err = trimAutoscaler(own)
	require.NoError(t, err)
	assert.Equal(t, "demo", own.Labels[render.LabelCluster])
	assert.Len(t, own.ManagedFields, 3, "drift detection needs them")
}

func TestTrimAPIServiceKeepsItsOwner(t *testing.T) {
	apiService := &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: metricsapi.APIServiceName, Labels: metricsapi.APIServiceLabels()},
		Spec: apiregistrationv1.APIServiceSpec{
			Group:    metricsapi.GroupName,
			Version:  metricsapi.Version,
			CABundle: []byte("bundle"),
			Service:  &apiregistrationv1.ServiceReference{Namespace: "system", Name: metricsapi.Name},
		},
	}
	before := metricsapi.OwnerOf([]apiregistrationv1.APIService{*apiService.DeepCopy()})
	_, err := trimAPIService(apiService)
	require.NoError(t, err)
	assert.Empty(t, apiService.Spec.CABundle)
	assert.Equal(t, before, metricsapi.OwnerOf([]apiregistrationv1.APIService{*apiService}))
}
