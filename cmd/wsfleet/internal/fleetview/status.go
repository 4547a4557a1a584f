package fleetview

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Kinds of documents, by which a script tells them apart.
const (
	KindFleet          = "Fleet"
	KindFleetList      = "FleetList"
	KindGateway        = "Gateway"
	KindPlan           = "FleetPlan"
	KindConnectionList = "ConnectionList"
	KindDisconnect     = "Disconnect"
	KindPublished      = "Published"
)

// Fleet is what `kubectl wsc status` says of one fleet.
type Fleet struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Ready is the number of gateways that serve, and Size the number of those that are to serve.
	Ready int `json:"ready"`
	Size  int `json:"size"`
	// Connections is the number of open connections on all gateways, and Capacity is how many the serving ones hold.
	Connections int64 `json:"connections"`
	Capacity    int64 `json:"capacity"`
	// Conditions are those that are not as they are in a fleet at rest.
	Conditions []Condition `json:"conditions,omitempty"`
	// Notes say what the rest does not show.
	Notes    []string  `json:"notes,omitempty"`
	Gateways []Gateway `json:"gateways"`

	// hasConditions reports whether the operator has written conditions.
	hasConditions bool
	// now is when the fleet was observed, for ages.
	now time.Time
}

// Condition is a condition of the fleet.
type Condition struct {
	Type    string                 `json:"type"`
	Status  metav1.ConditionStatus `json:"status"`
	Reason  string                 `json:"reason"`
	Message string                 `json:"message"`
}

// Gateway is one gateway of a fleet.
type Gateway struct {
	// Kind is KindGateway where the gateway is a document of its own.
	Kind  string `json:"kind,omitempty"`
	Pod   string `json:"pod"`
	Node  string `json:"node,omitempty"`
	Zone  string `json:"zone,omitempty"`
	State State  `json:"state"`
	// Detail is the reason of the state.
	Detail string `json:"detail,omitempty"`
	// Connections and the fields below are absent when the gateway did not answer.
	Connections    *int `json:"connections,omitempty"`
	MaxConnections *int `json:"maxConnections,omitempty"`
	// ConnectRate is the number of connections that the gateway accepted per second in the last minute, on average.
	ConnectRate *float64 `json:"connectRate,omitempty"`
	// Backplane is the state of the gateway's connection to Redis, with the reason when it is not ready.
	Backplane string `json:"backplane,omitempty"`
	Version   string `json:"version,omitempty"`
	Drain     *Drain `json:"drain,omitempty"`
	// CreatedAt is when the pod was created.
	CreatedAt time.Time `json:"createdAt,omitzero"`

	// now is when the gateway was observed, for the time that is left.
	now time.Time
}

// Drain is the drain of one gateway.
type Drain struct {
	Reason    string    `json:"reason"`
	StartedAt time.Time `json:"startedAt"`
	Deadline  time.Time `json:"deadline"`
	// ClosesPerSecond is the number of connections that the gateway closes per second once it closes any.
	ClosesPerSecond float64 `json:"closesPerSecond"`
	Closed          int     `json:"closed"`
	Forced          int     `json:"forced"`
	WaitsForAnother bool    `json:"waitsForAnother,omitempty"`
	// EndsAt is when the gateway has handed over its last client, about. It is absent while that is not known.
	EndsAt *time.Time `json:"endsAt,omitempty"`
}

// Status returns what there is to say of a fleet.
func Status(o Observation) Fleet {
	view := Fleet{
		Kind:       KindFleet,
		Namespace:  o.Cluster.Namespace,
		Name:       o.Cluster.Name,
		Size:       int(*o.Cluster.Spec.Replicas),
		Conditions: unusualConditions(o.Cluster.Status.Conditions),
		Notes:      notes(o),
		Gateways:   make([]Gateway, 0, len(o.Pods)),
		now:        o.Now,

		hasConditions: len(o.Cluster.Status.Conditions) > 0,
	}
	for i := range o.Pods {
		gateway := gatewayOf(o, &o.Pods[i])
		if gateway.State == StateServing {
			view.Ready++
			view.Capacity += int64(*gateway.MaxConnections)
		}
		if gateway.Connections != nil {
			view.Connections += int64(*gateway.Connections)
		}
		view.Gateways = append(view.Gateways, gateway)
	}
	if o.NotAsked != "" {
		observed := o.Cluster.Status
		view.Ready, view.Connections, view.Capacity = int(observed.Replicas), observed.Connections, observed.Capacity
	}
	slices.SortFunc(view.Gateways, func(a, b Gateway) int { return strings.Compare(a.Pod, b.Pod) })
	return view
}

// GatewayStatus returns what there is to say of one gateway. It returns an error when the fleet has no such pod.
func GatewayStatus(o Observation, name string) (Gateway, error) {
	pod := o.Pod(name)
	if pod == nil {
		return Gateway{}, errGone
	}
	gateway := gatewayOf(o, pod)
	gateway.Kind = KindGateway
	return gateway, nil
}

func gatewayOf(o Observation, pod *corev1.Pod) Gateway {
	state, detail := o.stateOf(pod)
	gateway := Gateway{
		Pod:       pod.Name,
		Node:      pod.Spec.NodeName,
		Zone:      pod.Labels[corev1.LabelTopologyZone],
		State:     state,
		Detail:    detail,
		CreatedAt: pod.CreationTimestamp.Time,
		now:       o.Now,
	}
	report := o.report(pod)
	if report == nil {
		return gateway
	}
	gateway.Connections, gateway.MaxConnections = &report.Connections, &report.MaxConnections
	gateway.ConnectRate, gateway.Version = report.ConnectRate, report.Version
	gateway.Backplane = backplane(report.Broker)
	if report.Drain != nil {
		gateway.Drain = drainOf(o.Cluster.Spec, *report, o.Now)
	}
	return gateway
}

// backplane returns the state of a gateway's connection to Redis in words.
func backplane(broker contract.BrokerReport) string {
	switch {
	case broker.Kind == contract.BrokerMemory:
		return "none"
	case broker.State == contract.BrokerReady:
		return string(broker.State)
	case broker.Reason != "":
		return string(broker.State) + ": " + string(broker.Reason)
	}
	return string(broker.State)
}

func drainOf(spec v1alpha1.WebSocketClusterSpec, report contract.GatewayReport, now time.Time) *Drain {
	d := report.Drain
	return &Drain{
		Reason:          d.Reason,
		StartedAt:       d.StartedAt,
		Deadline:        d.Deadline,
		ClosesPerSecond: d.ClosesPerSecond,
		Closed:          d.Closed,
		Forced:          d.Forced,
		WaitsForAnother: d.WaitsForAnother,
		EndsAt:          endOf(spec, report, now),
	}
}

// endOf returns when a gateway has handed over its last client, about: at its pace, and at its deadline at the latest.
// It returns nil while the gateway waits for another one, and when its drain is over.
func endOf(spec v1alpha1.WebSocketClusterSpec, report contract.GatewayReport, now time.Time) *time.Time {
	if report.Drain.WaitsForAnother || report.State != contract.StateDraining {
		return nil
	}
	end := report.Drain.Deadline
	byPace, known := fleet.DrainEnds(report, now, spec.Drain.PropagationDelay.Duration)
	if known && byPace.Before(end) {
		end = byPace
	}
	end = end.Truncate(time.Second)
	return &end
}

// unusualConditions returns the conditions that are not as they are in a fleet at rest, without those that only repeat
// others.
func unusualConditions(all []metav1.Condition) []Condition {
	var unusual []Condition
	for _, one := range all {
		if !isUsual(one) {
			unusual = append(unusual, Condition{one.Type, one.Status, one.Reason, one.Message})
		}
	}
	return unusual
}

func isUsual(one metav1.Condition) bool {
	switch one.Type {
	case v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled:
		return true
	case v1alpha1.ConditionProgressing:
		return one.Reason == v1alpha1.ReasonSettled
	case v1alpha1.ConditionDraining:
		return one.Reason == v1alpha1.ReasonNoneDraining
	}
	return one.Status == metav1.ConditionTrue
}

// notes returns what the numbers and conditions of a fleet do not show.
func notes(o Observation) []string {
	var notes []string
	switch written, generation := o.Cluster.Status.ObservedGeneration, o.Cluster.Generation; {
	case len(o.Cluster.Status.Conditions) == 0:
		notes = append(notes, "the operator has not written a status yet: check that it runs and watches this namespace")
	case written != generation:
		notes = append(notes, fmt.Sprintf("the operator has not seen the newest spec yet (generation %d, and its status is "+
			"of %d): check that it runs", generation, written))
	}
	if o.NotAsked != "" {
		notes = append(notes,
			"the gateways were not asked, so the numbers are those of the operator's last status: "+o.NotAsked)
	}
	return notes
}

// FleetList is what `kubectl wsc status` says of several fleets.
type FleetList struct {
	Kind  string         `json:"kind"`
	Items []FleetSummary `json:"items"`
}

// FleetSummary is one fleet of a FleetList, by its last status.
type FleetSummary struct {
	Namespace   string      `json:"namespace"`
	Name        string      `json:"name"`
	Ready       string      `json:"ready,omitempty"`
	Connections int64       `json:"connections"`
	Capacity    int64       `json:"capacity"`
	Draining    int         `json:"draining"`
	Conditions  []Condition `json:"conditions,omitempty"`
}

// List returns what there is to say of several fleets.
func List(clusters []v1alpha1.WebSocketCluster) FleetList {
	list := FleetList{Kind: KindFleetList, Items: make([]FleetSummary, 0, len(clusters))}
	for i := range clusters {
		observed := &clusters[i].Status
		list.Items = append(list.Items, FleetSummary{
			Namespace:   clusters[i].Namespace,
			Name:        clusters[i].Name,
			Ready:       observed.Ready,
			Connections: observed.Connections,
			Capacity:    observed.Capacity,
			Draining:    int(observed.DrainingReplicas),
			Conditions:  unusualConditions(observed.Conditions),
		})
	}
	return list
}
