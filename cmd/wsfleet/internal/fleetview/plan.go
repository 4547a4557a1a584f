package fleetview

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// Plan is what `kubectl wsc explain` says of one fleet.
type Plan struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Size      Size   `json:"size"`
	// Next are the operator's next steps. It is empty for a fleet that stays as it is.
	Next []string `json:"next,omitempty"`
	// Waits says why the operator does not do more at once.
	Waits []string `json:"waits,omitempty"`
	// Rollout is the replacement of old gateways. It is absent when there is none.
	Rollout *RolloutView `json:"rollout,omitempty"`
	Pace    Pace         `json:"pace"`
	// Victims are the gateways in the order in which they would go if the fleet became smaller.
	Victims []Victim `json:"victims"`
	// Notes say what the rest does not show.
	Notes []string `json:"notes,omitempty"`

	// now is when the fleet was observed, for ages.
	now time.Time
}

// Size is why a fleet has its size.
type Size struct {
	// Desired is spec.replicas, or what the operator takes where that is not set.
	Desired int `json:"desired"`
	// Deployment is the size that the gateways' Deployment has now.
	Deployment int `json:"deployment"`
	// Pods is the number of gateway pods.
	Pods int `json:"pods"`
	// Why says where Desired comes from.
	Why        string      `json:"why"`
	Autoscaler *Autoscaler `json:"autoscaler,omitempty"`
}

// Autoscaler is what the fleet's HorizontalPodAutoscaler says.
type Autoscaler struct {
	Min        int         `json:"min"`
	Max        int         `json:"max"`
	Current    int         `json:"current"`
	Desired    int         `json:"desired"`
	Conditions []Condition `json:"conditions,omitempty"`
}

// RolloutView is the replacement of gateways by those of a new version.
type RolloutView struct {
	Updated int `json:"updated"`
	Total   int `json:"total"`
	// SecondsLeft is how long it takes from now on, about.
	SecondsLeft int64 `json:"secondsLeft"`
}

// Pace is what bounds the speed of drains.
type Pace struct {
	// ReconnectsPerSecond is the number of clients per second that all drains together may send to the other gateways. 0
	// is no limit.
	ReconnectsPerSecond float64 `json:"reconnectsPerSecond"`
	// Why says where ReconnectsPerSecond comes from.
	Why string `json:"why"`
	// Draining is the number of gateways that drain, and MaxDraining how many may.
	Draining    int `json:"draining"`
	MaxDraining int `json:"maxDraining"`
	// Changes are the gateways that are to drain at another pace.
	Changes []PaceChange `json:"changes,omitempty"`
}

// PaceChange is a gateway that is to close another number of connections per second.
type PaceChange struct {
	Pod string  `json:"pod"`
	Now float64 `json:"now"`
	To  int     `json:"to"`
}

// Victim is a gateway that would go on a scale-in.
type Victim struct {
	Pod         string    `json:"pod"`
	Rank        string    `json:"rank"`
	Connections int       `json:"connections"`
	Zone        string    `json:"zone,omitempty"`
	CreatedAt   time.Time `json:"createdAt"`
	// InZone is the number of gateways in its zone before it goes. It is 0 where the zone is not known.
	InZone int `json:"inZone,omitempty"`
	// Going reports that the gateway goes now, because the fleet is too large.
	Going bool `json:"going,omitempty"`
}

// Explain returns why a fleet has its size, what the operator does next, and why it does not do more. The decisions are
// those of package plan, on what was observed.
func Explain(o Observation) Plan {
	gateways := o.planned()
	view := Plan{
		Kind:      KindPlan,
		Namespace: o.Cluster.Namespace,
		Name:      o.Cluster.Name,
		Size:      sizeOf(o),
		Pace:      paceOf(o, gateways),
		Victims:   victimsOf(o, gateways),
		Notes:     planNotes(o),
		now:       o.Now,
	}
	if o.Cluster.DeletionTimestamp != nil {
		view.Next = []string{"the fleet is being deleted: its gateways go first, then the rest"}
		return view
	}
	rollout := plan.Rollout{Spec: o.Cluster.Spec, Deployment: o.Deployment, Gateways: gateways}
	step := plan.NextScaleInStep(plan.ScaleIn{
		Spec: o.Cluster.Spec, Deployment: o.Deployment, Gateways: gateways, Now: metav1.NewTime(o.Now),
	})
	view.Next = nextSteps(o, step)
	if step.Waits != "" {
		view.Waits = append(view.Waits, "the next gateway of the scale-in waits: "+step.Waits)
	}
	rebalance := plan.NextRebalanceStep(plan.Rebalance{
		Spec: o.Cluster.Spec, Deployment: o.Deployment, Gateways: gateways,
		Requested: plan.RebalanceRequested(o.Cluster.Annotations[v1alpha1.AnnotationRebalance], metav1.NewTime(o.Now)),
	})
	view.Next = append(view.Next, nextSheds(o, rebalance)...)
	if rebalance.Waits != "" {
		view.Waits = append(view.Waits, "the rebalance waits: "+rebalance.Waits)
	}
	if hold := plan.HoldRollout(rollout); hold.Why != "" {
		view.Waits = append(view.Waits, "the rollout replaces no further gateway now: "+hold.Why)
	}
	view.Rollout = rolloutOf(o.Deployment, plan.RolloutSecondsLeft(rollout))
	return view
}

func sizeOf(o Observation) Size {
	size := Size{
		Desired:    int(*o.Cluster.Spec.Replicas),
		Deployment: deploymentSize(o.Deployment),
		Pods:       len(o.Pods),
		Why:        "spec.replicas",
		Autoscaler: autoscalerOf(o.Autoscaler),
	}
	if o.Cluster.Spec.Autoscaling != nil {
		size.Why = "spec.replicas, which the HorizontalPodAutoscaler writes"
	}
	return size
}

func deploymentSize(deployment *appsv1.Deployment) int {
	if deployment == nil || deployment.Spec.Replicas == nil {
		return 0
	}
	return int(*deployment.Spec.Replicas)
}

func autoscalerOf(autoscaler *autoscalingv2.HorizontalPodAutoscaler) *Autoscaler {
	if autoscaler == nil {
		return nil
	}
	view := &Autoscaler{
		Min:     1,
		Max:     int(autoscaler.Spec.MaxReplicas),
		Current: int(autoscaler.Status.CurrentReplicas),
		Desired: int(autoscaler.Status.DesiredReplicas),
	}
	if autoscaler.Spec.MinReplicas != nil {
		view.Min = int(*autoscaler.Spec.MinReplicas)
	}
	for _, c := range autoscaler.Status.Conditions {
		view.Conditions = append(view.Conditions,
			Condition{string(c.Type), metav1.ConditionStatus(c.Status), c.Reason, joinReason("", c.Message)})
	}
	return view
}

func paceOf(o Observation, gateways []plan.Gateway) Pace {
	spec, serving := o.Cluster.Spec, plan.Serving(gateways)
	pace := Pace{
		ReconnectsPerSecond: render.ReconnectBudget(spec, serving),
		Draining:            plan.Draining(gateways),
		MaxDraining:         render.MaxDraining(spec),
	}
	switch {
	case *spec.Rollout.MaxReconnectsPerSecond > 0:
		pace.Why = "spec.rollout.maxReconnectsPerSecond"
	case serving == 0:
		pace.Why = "no gateway serves, so it is not known where the clients go"
	case *spec.Gateway.ConnectRate == 0:
		pace.Why = "spec.gateway.connectRate is 0, so the gateways accept without a limit"
	default:
		pace.Why = fmt.Sprintf("half of what the serving gateways accept: %d, each spec.gateway.connectRate = %d", serving,
			*spec.Gateway.ConnectRate)
	}
	for _, change := range plan.Paces(spec, gateways) {
		pace.Changes = append(pace.Changes, PaceChange{
			Pod: change.Gateway.Pod.Name, Now: change.Gateway.Report.Drain.ClosesPerSecond, To: change.PerSecond,
		})
	}
	return pace
}

// nextSteps returns what the operator does next, in the order in which it does it.
func nextSteps(o Observation, step plan.ScaleInStep) []string {
	if o.Cluster.Spec.Paused {
		return nil
	}
	var next []string
	if size := deploymentSize(o.Deployment); size != int(step.Replicas) {
		next = append(next, fmt.Sprintf("it changes the Deployment's size from %d to %d", size, step.Replicas))
	}
	for _, drain := range step.Drain {
		next = append(next, fmt.Sprintf("gateway %s drains: %d connections, until %s at the latest", drain.Gateway.Pod.Name,
			drain.Gateway.Report.Connections, drain.Deadline.UTC().Format(time.RFC3339)))
	}
	for _, gateway := range step.Retire {
		next = append(next, fmt.Sprintf("gateway %s has handed over its clients: its pod is the next to be deleted",
			gateway.Pod.Name))
	}
	for _, gateway := range step.Restore {
		next = append(next, fmt.Sprintf("gateway %s serves again: it is not to be deleted any more", gateway.Pod.Name))
	}
	return next
}

// nextSheds returns what the operator does next to spread clients evenly.
func nextSheds(o Observation, step plan.RebalanceStep) []string {
	if o.Cluster.Spec.Paused {
		return nil
	}
	var next []string
	for _, shed := range step.Shed {
		next = append(next, shed.String())
	}
	for _, gateway := range step.Restore {
		next = append(next, fmt.Sprintf("gateway %s keeps the rest of its clients", gateway.Pod.Name))
	}
	return next
}

func rolloutOf(deployment *appsv1.Deployment, secondsLeft int64) *RolloutView {
	if deployment == nil || deployment.Status.UpdatedReplicas >= deployment.Status.Replicas {
		return nil
	}
	return &RolloutView{
		Updated:     int(deployment.Status.UpdatedReplicas),
		Total:       int(deployment.Status.Replicas),
		SecondsLeft: secondsLeft,
	}
}

// victimsOf returns all gateways that are not being deleted, in the order in which they would go.
func victimsOf(o Observation, gateways []plan.Gateway) []Victim {
	staying := slices.DeleteFunc(slices.Clone(gateways), func(g plan.Gateway) bool {
		return g.Pod.DeletionTimestamp != nil
	})
	going := 0
	if o.Cluster.DeletionTimestamp == nil {
		going = len(staying) - int(*o.Cluster.Spec.Replicas)
	}
	if rolloutOf(o.Deployment, 0) != nil {
		// The old ones go, and the surge with them.
		going = 0
	}
	list := make([]Victim, 0, len(staying))
	for i, victim := range plan.Victims(staying, len(staying)) {
		view := Victim{
			Pod:         victim.Gateway.Pod.Name,
			Rank:        victim.Rank,
			Connections: victim.Gateway.Report.Connections,
			Zone:        victim.Zone,
			CreatedAt:   victim.Gateway.Pod.CreationTimestamp.Time,
			Going:       i < going,
		}
		if victim.Zone != "" {
			view.InZone = victim.InZone
		}
		list = append(list, view)
	}
	return list
}

// planNotes returns what keeps the operator from acting, besides the notes of the status.
func planNotes(o Observation) []string {
	list := notes(o)
	if o.Cluster.Spec.Paused {
		list = append(list, "spec.paused is true: the operator changes nothing")
	}
	if o.Cluster.Spec.Drain.ScaleIn != v1alpha1.ScaleInPreDrain {
		list = append(list,
			"spec.drain.scaleIn is OnTermination: Kubernetes chooses which gateways go, and not in this order")
	}
	for _, kind := range []string{v1alpha1.ConditionSpecAccepted, v1alpha1.ConditionProgressing} {
		if c := meta.FindStatusCondition(o.Cluster.Status.Conditions, kind); c != nil && !isUsual(*c) {
			list = append(list, fmt.Sprintf("the operator says: %s is %s, %s: %s", c.Type, c.Status, c.Reason, c.Message))
		}
	}
	return list
}
