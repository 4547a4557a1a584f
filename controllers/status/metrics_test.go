package status

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// scaling adds the fleet's own HorizontalPodAutoscaler, created an hour ago, with a condition of a minute ago.
func scaling(
	kind autoscalingv2.HorizontalPodAutoscalerConditionType, status corev1.ConditionStatus, reason string,
) change {
	return func(o *Observation) {
		if o.Autoscaler == nil {
			o.Autoscaler = &autoscalingv2.HorizontalPodAutoscaler{}
			o.Autoscaler.CreationTimestamp = metav1.NewTime(o.Now.Add(-time.Hour))
			o.Metrics, o.MetricsOwner = v1alpha1.AutoscalingMetricsBuiltIn, "Service system/wsfleet-metrics-api"
		}
		o.Autoscaler.Status.Conditions = append(o.Autoscaler.Status.Conditions,
			autoscalingv2.HorizontalPodAutoscalerCondition{
				Type:               kind,
				Status:             status,
				Reason:             reason,
				Message:            "its own words",
				LastTransitionTime: metav1.NewTime(o.Now.Add(-time.Minute)),
			})
	}
}

// failing adds an autoscaler that cannot compute a size.
func failing(reason string) change {
	return scaling(autoscalingv2.ScalingActive, corev1.ConditionFalse, reason)
}

// otherAutoscaler adds a HorizontalPodAutoscaler of another client.
func otherAutoscaler(kind, target string) change {
	return func(o *Observation) {
		var other autoscalingv2.HorizontalPodAutoscaler
		other.Name = "theirs"
		other.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{Kind: kind, Name: target}
		o.OtherAutoscalers = append(o.OtherAutoscalers, other)
	}
}

// otherFails lets the HorizontalPodAutoscaler of another client say that it does not work.
func otherFails(reason string) change {
	return func(o *Observation) {
		other := &o.OtherAutoscalers[len(o.OtherAutoscalers)-1]
		other.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{{
			Type: autoscalingv2.ScalingActive, Status: corev1.ConditionFalse, Reason: reason, Message: "its own words",
		}}
	}
}

func existing(owner string) change {
	return func(o *Observation) { o.Metrics, o.MetricsOwner = v1alpha1.AutoscalingMetricsExisting, owner }
}

// metricsAPIWithoutImage makes the metrics API's pods wait for their image.
func metricsAPIWithoutImage(o *Observation) {
	o.MetricsAPI = &appsv1.Deployment{}
	o.MetricsAPIPods = []corev1.Pod{{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		waiting("ErrImagePull", "no such image"),
	}}}}
}

// age moves the present, so that what is observed gets older.
func age(by time.Duration) change {
	return func(o *Observation) { o.Now = o.Now.Add(by) }
}

func TestMetrics(t *testing.T) {
	works := scaling(autoscalingv2.ScalingActive, corev1.ConditionTrue, "ValidMetricFound")
	newborn := func(o *Observation) {
		o.Autoscaler = &autoscalingv2.HorizontalPodAutoscaler{}
		o.Autoscaler.CreationTimestamp = metav1.NewTime(o.Now)
	}
	fullest := spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Autoscaling.MaxUtilizationPercent = new(int32(90)) })
	checkCondition(t, v1alpha1.ConditionMetricsAvailable, []conditionCase{
		{"not autoscaled", nil, isTrue, v1alpha1.ReasonNotNeeded, "spec.autoscaling is not set"},
		{"no autoscaler yet", []change{autoscaled}, isUnknown, v1alpha1.ReasonAutoscalerPending, "SpecAccepted"},
		{"a new autoscaler", []change{autoscaled, newborn, age(59 * time.Second)},
			isUnknown, v1alpha1.ReasonAutoscalerPending, "has not looked"},
		{"an autoscaler that no controller looks at", []change{autoscaled, newborn, age(time.Minute)},
			isFalse, v1alpha1.ReasonAutoscalerFailed, "kube-controller-manager"},
		{"works", []change{autoscaled, works}, isTrue, v1alpha1.ReasonMetricsServed, "Service system/wsfleet-metrics-api"},
		{"another server without the fullest gateway", []change{autoscaled, works, existing("Service m/a"), fullest},
			isTrue, v1alpha1.ReasonMetricsServed, "Service m/a; spec.autoscaling.maxUtilizationPercent has no effect"},
		{"scaled to zero by hand", []change{autoscaled, failing("ScalingDisabled"), replicas(0)},
			isTrue, v1alpha1.ReasonScalingDisabled, "spec.replicas"},
		{"fails for less than a minute", []change{autoscaled, failing("FailedGetObjectMetric"), age(-time.Second)},
			isUnknown, v1alpha1.ReasonAutoscalerPending, "its own words"},
		{"the built-in server has no metric", []change{autoscaled, failing("FailedGetObjectMetric")},
			isFalse, v1alpha1.ReasonMetricUnreadable, "FailedGetObjectMetric: its own words: custom.metrics.k8s.io " +
				"belongs to Service system/wsfleet-metrics-api"},
		{"the metrics API does not run", []change{autoscaled, failing("FailedGetObjectMetric"), metricsAPIWithoutImage},
			isFalse, v1alpha1.ReasonMetricUnreadable, "the metrics API of Service system/wsfleet-metrics-api does not run: " +
				"the node cannot pull the image"},
		{"the metrics API runs", []change{autoscaled, works, metricsAPIWithoutImage},
			isTrue, v1alpha1.ReasonMetricsServed, ""},
		{"no server", []change{autoscaled, failing("FailedGetObjectMetric"), func(o *Observation) { o.MetricsOwner = "" }},
			isFalse, v1alpha1.ReasonNoMetricsAPI, "install"},
		{"another server without the metric", []change{autoscaled, failing("FailedGetPodsMetric"), existing("Service m/a")},
			isFalse, v1alpha1.ReasonMetricUnreadable,
			"belongs to Service m/a: give it a rule for the Pods metric websocket_connections"},
		{"no CPU metric", []change{autoscaled, failing("FailedGetContainerResourceMetric")},
			isFalse, v1alpha1.ReasonMetricUnreadable, "spec.autoscaling.cpuUtilizationPercent"},
		{"two autoscalers on the pods", []change{autoscaled, failing("AmbiguousSelector")},
			isFalse, v1alpha1.ReasonSecondAutoscaler, "its own words"},
		{"no scale", []change{autoscaled, works,
			scaling(autoscalingv2.AbleToScale, corev1.ConditionFalse, "FailedGetScale")},
			isFalse, v1alpha1.ReasonAutoscalerFailed, "FailedGetScale: its own words"},
		{"another one on the cluster", []change{autoscaled, works, otherAutoscaler("WebSocketCluster", "demo")},
			isFalse, v1alpha1.ReasonSecondAutoscaler, "theirs scales the WebSocketCluster demo"},
		{"another one on the Deployment", []change{autoscaled, works, otherAutoscaler("Deployment", "demo-gateway")},
			isFalse, v1alpha1.ReasonSecondAutoscaler, "theirs scales the Deployment demo-gateway"},
		{"one of the user on the cluster", []change{otherAutoscaler("WebSocketCluster", "demo")},
			isTrue, v1alpha1.ReasonNotNeeded, "theirs scales the WebSocketCluster"},
		{"one of the user that fails",
			[]change{otherAutoscaler("WebSocketCluster", "demo"), otherFails("FailedGetExternalMetric")},
			isTrue, v1alpha1.ReasonNotNeeded,
			"theirs scales the WebSocketCluster, and says FailedGetExternalMetric: its own words"},
		{"one of the user on the Deployment", []change{otherAutoscaler("Deployment", "demo-gateway")},
			isFalse, v1alpha1.ReasonSecondAutoscaler, "set spec.autoscaling, or let it scale the WebSocketCluster"},
	})
}

// silentGateway adds a ready gateway whose last report is of the time at, or that has none and has been ready since
// then.
func silentGateway(reported bool, at time.Duration) change {
	return func(o *Observation) {
		since := o.Now.Add(at)
		pod := addPod(o, true)
		pod.Status.Conditions[0].LastTransitionTime = metav1.NewTime(since)
		if reported {
			addReport(o, pod, contract.GatewayReport{})
			gateway := o.Fleet.Gateways[pod.UID]
			gateway.Stale, gateway.ReportedAt = true, since
			o.Fleet.Gateways[pod.UID] = gateway
		}
	}
}

func TestMetricsWithSilentGateways(t *testing.T) {
	checkCondition(t, v1alpha1.ConditionMetricsAvailable, []conditionCase{
		{"never reported", []change{silentGateway(false, -30*time.Second)},
			isFalse, v1alpha1.ReasonGatewaysSilent, "1 of 3 ready gateways"},
		{"reports no more", []change{silentGateway(true, -30*time.Second)},
			isFalse, v1alpha1.ReasonGatewaysSilent, "port 9090"},
		{"has just become ready", []change{silentGateway(false, -29*time.Second)}, isTrue, v1alpha1.ReasonNotNeeded, ""},
		{"missed a scrape", []change{silentGateway(true, -5*time.Second)}, isTrue, v1alpha1.ReasonNotNeeded, ""},
	})
}

// An autoscaler that waits because the fleet is stopped does not fail.
func TestMetricsOfAStoppedFleetWithAnotherAutoscaler(t *testing.T) {
	stopped := settled(otherAutoscaler("WebSocketCluster", "demo"), otherFails("ScalingDisabled"), replicas(0))
	assert.NotContains(t, metrics(stopped).Message, "says")
}

func TestMetricsRecheck(t *testing.T) {
	young := func(o *Observation) { o.Autoscaler.CreationTimestamp = metav1.NewTime(o.Now.Add(-20 * time.Second)) }
	empty := func(o *Observation) { o.Autoscaler = &autoscalingv2.HorizontalPodAutoscaler{} }
	for _, c := range []struct {
		name    string
		changes []change
		want    time.Duration
	}{
		{"settled", nil, 0},
		{"works", []change{autoscaled, scaling(autoscalingv2.ScalingActive, corev1.ConditionTrue, "")}, 0},
		{"new", []change{autoscaled, empty, young}, 40 * time.Second},
		{"fails since a while", []change{autoscaled, failing("FailedGetObjectMetric")}, 0},
		{"fails", []change{autoscaled, failing("FailedGetObjectMetric"), age(-15 * time.Second)}, 15 * time.Second},
		{"silent", []change{silentGateway(true, -10*time.Second)}, 20 * time.Second},
		{"the sooner of two", []change{autoscaled, empty, young, silentGateway(true, -10*time.Second)}, 20 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, MetricsRecheck(settled(c.changes...))) })
	}
}

// An autoscaler divides by status.replicas. 0 means to it that the fleet was scaled to 0 on purpose.
func TestReplicasForAutoscalers(t *testing.T) {
	deployed := func(n int32) change { return func(o *Observation) { o.Gateways.Spec.Replicas = &n } }
	none := func(o *Observation) { o.Gateways = nil }
	for _, c := range []struct {
		name    string
		changes []change
		want    int32
	}{
		{"all serve", nil, 2},
		{"surge", []change{servingPod(0)}, 2},
		{"one of three serves", []change{noPods, servingPod(1), drainingPod(9), replicas(3)}, 1},
		{"none serves", []change{noPods, replicas(6), deployed(4)}, 4},
		{"none serves, and there is no Deployment", []change{noPods, replicas(6), none}, 6},
		{"none serves, and the Deployment is at zero", []change{noPods, replicas(6), deployed(0)}, 6},
		{"scaled to zero", []change{noPods, replicas(0), deployed(4)}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			computed := Compute(settled(c.changes...))
			assert.Equal(t, c.want, computed.Replicas)
		})
	}
}
