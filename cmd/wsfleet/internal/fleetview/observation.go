package fleetview

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Observation is what is known of one fleet at one time.
type Observation struct {
	// Cluster has its defaults set, and the fleet's desired size.
	Cluster *v1alpha1.WebSocketCluster
	// Deployment is the gateways' Deployment, or nil when there is none.
	Deployment *appsv1.Deployment
	// Autoscaler is the fleet's own HorizontalPodAutoscaler, or nil when there is none.
	Autoscaler *autoscalingv2.HorizontalPodAutoscaler
	// Pods are the gateway pods, those that are being deleted included.
	Pods []corev1.Pod
	// Answers are those of the gateways that were asked for their reports.
	Answers []fleet.Answer
	// NotAsked says why no gateway was asked. It is empty when those that run were.
	NotAsked string
	// Now is when the fleet was observed.
	Now time.Time
}

// State is what a gateway does.
type State string

const (
	// StateServing is a gateway that takes clients.
	StateServing State = "serving"
	// StateDraining is a gateway that hands its clients over to others.
	StateDraining State = "draining"
	// StateDrained is a gateway that has handed over its last client.
	StateDrained State = "drained"
	// StateNotReady is a gateway that answers, and that clients do not reach yet or any more.
	StateNotReady State = "not ready"
	// StateStarting is a gateway whose process does not run yet, or not any more.
	StateStarting State = "starting"
	// StateSilent is a gateway whose process runs, and that does not answer.
	StateSilent State = "silent"
	// StateUnknown is a gateway that was not asked.
	StateUnknown State = "unknown"
	// StateLost is a gateway that should have ended, and whose node does not confirm that it has.
	StateLost State = "lost"
	// StateEnded is a pod whose containers have ended for good.
	StateEnded State = "ended"
)

// answer returns what a pod's gateway answered, or nil when it was not asked.
func (o Observation) answer(pod *corev1.Pod) *fleet.Answer {
	i := slices.IndexFunc(o.Answers, func(a fleet.Answer) bool { return a.Pod.UID == pod.UID })
	if i < 0 {
		return nil
	}
	return &o.Answers[i]
}

// report returns the report of a pod's gateway, or nil when there is none.
func (o Observation) report(pod *corev1.Pod) *contract.GatewayReport {
	if answer := o.answer(pod); answer != nil && answer.Err == nil {
		return &answer.Report
	}
	return nil
}

// Pod returns the gateway pod with a name, or nil when there is none.
func (o Observation) Pod(name string) *corev1.Pod {
	i := slices.IndexFunc(o.Pods, func(pod corev1.Pod) bool { return pod.Name == name })
	if i < 0 {
		return nil
	}
	return &o.Pods[i]
}

// planned returns the gateways as the operator's plans see them.
func (o Observation) planned() []plan.Gateway {
	reports := fleet.Snapshot{Gateways: map[types.UID]fleet.Gateway{}, Asked: map[types.UID]bool{}}
	for _, answer := range o.Answers {
		reports.Asked[answer.Pod.UID] = fleet.IsReady(answer.Pod)
		if answer.Err == nil {
			reports.Gateways[answer.Pod.UID] = fleet.Gateway{
				Pod: answer.Pod.Name, Report: answer.Report, ReportedAt: answer.At,
			}
		}
	}
	return plan.Gateways(o.Pods, reports, metav1.NewTime(o.Now))
}

// stateOf returns what a gateway does, and for states that need it the reason.
func (o Observation) stateOf(pod *corev1.Pod) (state State, detail string) {
	if fleet.HasEnded(pod) {
		return StateEnded, joinReason(pod.Status.Reason, pod.Status.Message)
	}
	if plan.Lost(pod, metav1.NewTime(o.Now)) {
		return StateLost, fmt.Sprintf("node %s does not confirm that it has ended: repair the node, or delete it",
			pod.Spec.NodeName)
	}
	if report := o.report(pod); report != nil {
		return reportedState(pod, report)
	}
	if why, waits := waiting(pod); waits {
		return StateStarting, why
	}
	if answer := o.answer(pod); answer != nil {
		return StateSilent, answer.Err.Error()
	}
	return StateUnknown, ""
}

// reportedState is stateOf for a gateway that answered.
func reportedState(pod *corev1.Pod, report *contract.GatewayReport) (State, string) {
	switch {
	case report.State == contract.StateDraining:
		return StateDraining, ""
	case report.State == contract.StateDrained:
		return StateDrained, ""
	case pod.DeletionTimestamp != nil:
		return StateNotReady, "its pod is being deleted"
	case fleet.IsReady(pod):
		return StateServing, ""
	case report.Broker.State == contract.BrokerConnecting:
		return StateNotReady, "it has not reached its backplane yet"
	}
	return StateNotReady, "its readiness probe has not succeeded yet"
}

// waiting returns why the process of a pod does not run, and whether it does not.
func waiting(pod *corev1.Pod) (why string, waits bool) {
	for _, container := range pod.Status.ContainerStatuses {
		if state := container.State.Waiting; state != nil {
			return joinReason(state.Reason, state.Message), true
		}
		if state := container.State.Terminated; state != nil {
			return fmt.Sprintf("the container ended with code %d", state.ExitCode), true
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return joinReason(condition.Reason, condition.Message), true
		}
	}
	return "", pod.Status.Phase != corev1.PodRunning
}

// joinReason returns a reason and a message in one line.
func joinReason(reason, message string) string {
	message = strings.Join(strings.Fields(message), " ")
	if reason != "" && message != "" {
		return reason + ": " + message
	}
	return cmp.Or(reason, message)
}

// errGone means that the pod is not among those that were observed.
var errGone = errors.New("the pod is gone")
