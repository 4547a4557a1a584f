package controllers

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fleetSet is a set of fleets that counts itself in a metric. It is a prometheus.Collector. Its methods may be called
// by several goroutines at once.
type fleetSet struct {
	desc *prometheus.Desc

	// mu guards members.
	mu      sync.Mutex
	members map[client.ObjectKey]bool
}

func newFleetSet(name, help string) *fleetSet {
	return &fleetSet{
		desc:    prometheus.NewDesc(metricPrefix+name, help, nil, nil),
		members: map[client.ObjectKey]bool{},
	}
}

// note adds a fleet, and reports whether it is new.
func (s *fleetSet) note(cluster client.ObjectKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.members[cluster] {
		return false
	}
	s.members[cluster] = true
	return true
}

// forget drops a fleet.
func (s *fleetSet) forget(cluster client.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.members, cluster)
}

// Describe sends the description of the metric.
func (s *fleetSet) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- s.desc }

// Collect sends the number of fleets.
func (s *fleetSet) Collect(metrics chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	metrics <- prometheus.MustNewConstMetric(s.desc, prometheus.GaugeValue, float64(len(s.members)))
}
