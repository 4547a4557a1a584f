package fleetview_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/golden"
)

func TestExplainAsText(t *testing.T) {
	settled := with(observation(3), serving("pod-01", 120), serving("pod-02", 80, inZone("b")),
		serving("pod-03", 40, inZone("b")))

	smaller := with(observation(3), serving("pod-01", 120), serving("pod-02", 80), serving("pod-03", 40))
	smaller.Cluster.Spec.Replicas = new(int32(2))
	smaller.Cluster.Spec.Autoscaling = &v1alpha1.AutoscalingSpec{MaxReplicas: 9}
	smaller.Autoscaler = &autoscalingv2.HorizontalPodAutoscaler{
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MinReplicas: new(int32(2)), MaxReplicas: 9},
		Status: autoscalingv2.HorizontalPodAutoscalerStatus{
			CurrentReplicas: 3, DesiredReplicas: 2,
			Conditions: []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: "ScalingActive", Status: "True",
				Reason: "ValidMetricFound", Message: "the HPA was able to compute the replica count"}},
		},
	}

	waiting := with(observation(4), serving("pod-01", 120), serving("pod-02", 80),
		serving("pod-03", 40, draining(plan.DrainReasonScaleIn, 20), func(g *gateway) {
			g.pod.Annotations = map[string]string{render.AnnotationScaleIn: now.Add(50 * time.Second).Format(time.RFC3339)}
		}), serving("pod-04", 60))
	waiting.Cluster.Spec.Replicas = new(int32(2))
	waiting.Cluster.Spec.Rollout.MaxReconnectsPerSecond = new(int32(4))

	rolling := with(observation(2), serving("pod-01", 120, draining("preStop", 4), deleted), serving("pod-02", 80),
		serving("pod-03", 0), serving("pod-04", 0))
	rolling.Deployment.Status = appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 2}
	rolling.Deployment.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{}

	// A gateway that was asked and does not answer is not one that has just become ready.
	deaf := with(observation(3), serving("pod-01", 120), serving("pod-02", 80), serving("pod-03", 40, silent))
	deaf.Cluster.Spec.Replicas = new(int32(2))

	upFor := func(seconds float64) func(*gateway) {
		return func(g *gateway) { g.answer.Report.UptimeSeconds = seconds }
	}
	uneven := with(observation(3), serving("pod-01", 900, upFor(900)), serving("pod-02", 700, upFor(900)),
		serving("pod-03", 0, upFor(60)))
	uneven.Deployment.Status.AvailableReplicas = 3
	uneven.Cluster.Spec.Rebalance.Enabled = true

	paused := with(observation(1), serving("pod-01", 1), serving("pod-02", 1))
	paused.Cluster.Spec.Paused = true
	paused.Cluster.Spec.Drain.ScaleIn = v1alpha1.ScaleInOnTermination
	paused.Cluster.Status.Conditions[6] = metav1.Condition{Type: v1alpha1.ConditionSpecAccepted,
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPaused, Message: "spec.paused is true"}

	deleting := with(observation(1), serving("pod-01", 1))
	deleting.Cluster.DeletionTimestamp = new(metav1.NewTime(now))

	many := observation(12)
	for i := range 12 {
		many = with(many, serving(fmt.Sprintf("pod-%02d", i), i))
	}
	for name, o := range map[string]fleetview.Observation{
		"settled": settled, "smaller": smaller, "waiting": waiting, "rolling": rolling, "paused": paused,
		"deleting": deleting, "many": many, "deaf": deaf, "uneven": uneven,
	} {
		t.Run(name, func(t *testing.T) {
			golden.File(t, "testdata/explain-"+name+".txt", text(t, fleetview.Explain(o)))
		})
	}
	t.Run("as JSON", func(t *testing.T) {
		out, err := json.MarshalIndent(fleetview.Explain(waiting), "", "  ")
		require.NoError(t, err)
		golden.File(t, "testdata/explain.json", string(out)+"\n")
	})
}
