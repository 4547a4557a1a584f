package simulate

import (
	"errors"
	"fmt"
	"math"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/reconnect"
)

// Range is a time that differs from case to case, equally likely from Min to Max.
type Range struct{ Min, Max time.Duration }

// Scenario is a fleet, its clients and what happens to it.
type Scenario struct {
	// Spec is that of the WebSocketCluster, with its defaults and its replicas set.
	Spec v1alpha1.WebSocketClusterSpec
	// Connections is the number of clients, which are connected at the start and spread evenly over the gateways.
	Connections int64
	Clients     []Share
	// LeaveShare is the part of the clients, from 0 to 1, that does not come back when its connection ends.
	LeaveShare float64
	Events     []Event
	Seed       uint64

	// PodStart is how long a new pod takes from its creation until it is ready.
	PodStart Range
	// Restart is how long a killed gateway takes until it is ready again in the same pod.
	Restart Range
	// Zones is the number of zones that the pods are spread over.
	Zones int
	// PodsPerNode is the number of pods that share a node, at most.
	PodsPerNode int
	// EndpointDelay is how long load balancers take to notice that a pod's readiness has changed.
	EndpointDelay time.Duration
	// NodeDetection is how long Kubernetes takes to notice that a node is lost.
	NodeDetection time.Duration
	// EvictionDelay is how long after that the pods of the node are deleted.
	EvictionDelay time.Duration
	// ClientDetection is how long a client takes to notice that the node of its gateway is lost.
	ClientDetection Range
	// ConnectTimeout is how long a client tries to connect to a gateway whose node is lost.
	ConnectTimeout time.Duration
	// Limit is the virtual time at which the simulation ends although the fleet has not settled.
	Limit time.Duration
}

// Defaults returns a scenario of ten gateways with the defaults of every setting, and without events.
func Defaults() Scenario {
	spec := v1alpha1.WebSocketClusterSpec{Replicas: new(int32(DefaultReplicas))}
	spec.SetDefaults()
	return Scenario{
		Spec:            spec,
		Connections:     DefaultReplicas * int64(*spec.Gateway.MaxConnections) / 2,
		Clients:         []Share{{Layer: reconnect.Known()[0], Weight: 1}},
		Seed:            1,
		PodStart:        Range{8 * time.Second, 12 * time.Second},
		Restart:         Range{2 * time.Second, 4 * time.Second},
		Zones:           3,
		PodsPerNode:     1,
		EndpointDelay:   time.Second,
		NodeDetection:   50 * time.Second,
		EvictionDelay:   5 * time.Minute,
		ClientDetection: Range{10 * time.Second, 35 * time.Second},
		ConnectTimeout:  10 * time.Second,
		Limit:           7 * 24 * time.Hour,
	}
}

// DefaultReplicas is the size of the fleet that Defaults returns.
const DefaultReplicas = 10

// Bounds of a scenario.
const (
	maxReplicas    = 10_000
	maxConnections = 100_000_000
)

// Error says that a part of the scenario cannot be used.
type Error struct {
	// Field is the flag without dashes, or the field of the spec from "spec." on.
	Field string
	// Problem says what is wrong and how to mend it.
	Problem string
}

func (e *Error) Error() string {
	if len(e.Field) > 5 && e.Field[:5] == "spec." {
		return e.Field + ": " + e.Problem
	}
	return "--" + e.Field + ": " + e.Problem
}

// Validate returns all problems of the scenario, joined; each is an *Error.
func (s *Scenario) Validate() error {
	var errs []error
	refuse := func(bad bool, field, format string, args ...any) {
		if bad {
			errs = append(errs, &Error{Field: field, Problem: fmt.Sprintf(format, args...)})
		}
	}
	s.validateSpec(refuse)
	replicas := int64(*s.Spec.Replicas)
	refuse(s.Connections < 0 || s.Connections > maxConnections, "connections", "%d cannot be simulated: give 0 to %d",
		s.Connections, maxConnections)
	room := replicas * int64(*s.Spec.Gateway.MaxConnections)
	refuse(s.Connections > room, "connections",
		"%d connections do not fit into %d gateways of %d: raise --replicas or spec.gateway.maxConnections", s.Connections,
		replicas, *s.Spec.Gateway.MaxConnections)
	refuse(len(s.Clients) == 0, "clients", "no layer: give one, such as %s", reconnect.Names()[0])
	refuse(len(s.Clients) > maxLayers, "clients", "%d layers: give at most %d", len(s.Clients), maxLayers)
	for _, share := range s.Clients {
		refuse(!(share.Weight > 0) || math.IsInf(share.Weight, 0), "clients", "%s has the share %v: give a number above 0",
			share.Layer.Name, share.Weight)
		if problem := share.Layer.Problem(); problem != "" {
			refuse(true, "layer", "%s: %s", share.Layer.Name, problem)
		}
	}
	refuse(!(s.LeaveShare >= 0 && s.LeaveShare <= 1), "leave", "%v is no share: give 0 to 1", s.LeaveShare)
	refuse(s.Zones < 1 || s.Zones > 100, "zones", "%d zones: give 1 to 100", s.Zones)
	refuse(s.PodsPerNode < 1, "pods-per-node", "%d pods: give 1 or more", s.PodsPerNode)
	refuse(s.Limit <= 0, "limit", "%v is no time: give one above 0, like 24h", s.Limit)
	s.validateTimes(refuse)
	for _, e := range s.Events {
		if problem := e.problem(s); problem != "" {
			refuse(true, "event", "%s: %s", e, problem)
		}
	}
	return errors.Join(errs...)
}

// validateTimes checks the times that the scenario takes things to take.
func (s *Scenario) validateTimes(refuse func(bad bool, field, format string, args ...any)) {
	for field, r := range map[string]Range{
		"pod-start": s.PodStart, "restart": s.Restart, "client-detection": s.ClientDetection,
	} {
		refuse(r.problem() != "", field, "%s", r.problem())
	}
	for field, d := range map[string]time.Duration{
		"endpoint-delay": s.EndpointDelay, "node-detection": s.NodeDetection, "eviction-delay": s.EvictionDelay,
		"connect-timeout": s.ConnectTimeout,
	} {
		refuse(d < 0 || d > reconnect.MaxWait, field, "%v: give 0s to %v", d, reconnect.MaxWait)
	}
}

// validateSpec checks the fields of the spec that the simulation computes with. The API server's schema checks the
// others.
func (s *Scenario) validateSpec(refuse func(bad bool, field, format string, args ...any)) {
	spec := &s.Spec
	refuse(*spec.Replicas < 1 || *spec.Replicas > maxReplicas, "replicas", "%d gateways cannot be simulated: give 1 to %d",
		*spec.Replicas, maxReplicas)
	for field, n := range map[string]int32{
		"gateway.connectRate":            *spec.Gateway.ConnectRate,
		"drain.maxClosesPerSecond":       *spec.Drain.MaxClosesPerSecond,
		"rollout.maxReconnectsPerSecond": *spec.Rollout.MaxReconnectsPerSecond,
		"rollout.minReadySeconds":        *spec.Rollout.MinReadySeconds,
	} {
		refuse(n < 0, "spec."+field, "%d: give 0 or more", n)
	}
	refuse(*spec.Gateway.MaxConnections < 1, "spec.gateway.maxConnections", "%d: give 1 or more",
		*spec.Gateway.MaxConnections)
	refuse(spec.Drain.Timeout.Duration < 0 || spec.Drain.Timeout.Duration > 24*time.Hour, "spec.drain.timeout",
		"%v: give 0s to 24h", spec.Drain.Timeout.Duration)
	refuse(spec.Drain.PropagationDelay.Duration < 0 ||
		spec.Drain.PropagationDelay.Duration > spec.Drain.Timeout.Duration, "spec.drain.propagationDelay",
		"%v: give 0s to spec.drain.timeout, which is %v", spec.Drain.PropagationDelay.Duration,
		spec.Drain.Timeout.Duration)
	for field, value := range map[string]*intstr.IntOrString{
		"rollout.maxSurge":          spec.Rollout.MaxSurge,
		"rollout.maxUnavailable":    spec.Rollout.MaxUnavailable,
		"disruption.maxUnavailable": spec.Disruption.MaxUnavailable,
	} {
		n, err := intstr.GetScaledValueFromIntOrPercent(value, 100, true)
		refuse(err != nil || n < 0, "spec."+field, "%q: give a number or a percentage, like 1 or 10%%", value.String())
	}
}

// problem returns what is wrong with the range and how to mend it, or "".
func (r Range) problem() string { return reconnect.Wait(r).Problem() }

// String returns the range as ParseRange reads it.
func (r Range) String() string { return reconnect.Wait(r).String() }
