package controllers

import (
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/controllers/fleet"
)

// metricPrefix begins the names of all metrics of the operator's own.
const metricPrefix = "wsfleet_operator_"

// phase is a part of a reconcile. It is a label value of a metric.
type phase string

const (
	phaseObserve phase = "observe"
	phaseRender  phase = "render"
	phaseApply   phase = "apply"
	phaseStatus  phase = "status"
)

// operatorMetrics are the metrics of the operator's own. Its methods may be called by several goroutines at once.
type operatorMetrics struct {
	appliedObjects *prometheus.CounterVec
	phaseDuration  *prometheus.HistogramVec
	scrapeFailures prometheus.Counter
	fleets         *fleetConditions
	// leftToOthers are the fleets that another operator manages.
	leftToOthers fleet.Set
}

// newOperatorMetrics registers the metrics. It returns an error when one of them is registered already.
func newOperatorMetrics(registry prometheus.Registerer) (*operatorMetrics, error) {
	m := &operatorMetrics{
		appliedObjects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricPrefix + "applied_objects_total",
			Help: "The number of writes and deletions of the objects of fleets. A repaired object had been changed by another " +
				"client. The user has to solve what was refused; the operator tries again what failed. " +
				"outcome is one of created, updated, repaired, deleted, refused, failed.",
		}, []string{"kind", "outcome"}),
		phaseDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    metricPrefix + "reconcile_phase_duration_seconds",
			Help:    "The time in seconds that the phases of a reconcile took. phase is one of observe, render, apply, status.",
			Buckets: []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30},
		}, []string{"phase"}),
		scrapeFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: metricPrefix + "scrape_failures_total",
			Help: "The number of requests for a gateway's report that returned none.",
		}),
		fleets: newFleetConditions(),
	}
	foreignFleets := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: metricPrefix + "foreign_fleets",
		Help: "The number of WebSocketClusters that another operator manages, and that this one leaves alone.",
	}, func() float64 { return float64(m.leftToOthers.Len()) })
	for _, collector := range []prometheus.Collector{
		m.appliedObjects, m.phaseDuration, m.scrapeFailures, m.fleets, foreignFleets,
	} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("register the operator's metrics: %w", err)
		}
	}
	return m, nil
}

// startPhase starts to measure a phase. The caller calls the result when the phase ends.
func (m *operatorMetrics) startPhase(name phase) (end func()) {
	timer := prometheus.NewTimer(m.phaseDuration.WithLabelValues(string(name)))
	return func() { timer.ObserveDuration() }
}

// countObjects counts what was done to objects.
func (m *operatorMetrics) countObjects(results []objectResult) {
	for _, one := range results {
		switch one.outcome {
		case "", outcomeForeign, outcomeContested:
			// Nothing was sent.
		default:
			m.appliedObjects.WithLabelValues(one.object.Kind.Kind, string(one.outcome)).Inc()
		}
	}
}

// fleetConditions counts the fleets by what their conditions say. It is a prometheus.Collector.
type fleetConditions struct {
	desc *prometheus.Desc

	// mu guards byFleet.
	mu sync.Mutex
	// byFleet holds the status of each condition type of each fleet.
	byFleet map[client.ObjectKey]map[string]metav1.ConditionStatus
}

func newFleetConditions() *fleetConditions {
	return &fleetConditions{
		desc: prometheus.NewDesc(metricPrefix+"fleets",
			"The number of WebSocketClusters whose condition has the status. status is one of True, False, Unknown.",
			[]string{"condition", "status"}, nil),
		byFleet: map[client.ObjectKey]map[string]metav1.ConditionStatus{},
	}
}

// set replaces the conditions of a fleet.
func (f *fleetConditions) set(cluster client.ObjectKey, conditions []metav1.Condition) {
	statuses := make(map[string]metav1.ConditionStatus, len(conditions))
	for _, condition := range conditions {
		statuses[condition.Type] = condition.Status
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byFleet[cluster] = statuses
}

// forget drops a fleet that was deleted.
func (f *fleetConditions) forget(cluster client.ObjectKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byFleet, cluster)
}

// Describe sends the description of the metric.
func (f *fleetConditions) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- f.desc }

// Collect sends one metric for each condition and status that a fleet has.
func (f *fleetConditions) Collect(metrics chan<- prometheus.Metric) {
	type key struct {
		condition string
		status    metav1.ConditionStatus
	}
	counts := map[key]int{}
	f.mu.Lock()
	for _, statuses := range f.byFleet {
		for condition, status := range statuses {
			counts[key{condition, status}]++
		}
	}
	f.mu.Unlock()
	for k, n := range counts {
		metrics <- prometheus.MustNewConstMetric(f.desc, prometheus.GaugeValue, float64(n), k.condition, string(k.status))
	}
}
