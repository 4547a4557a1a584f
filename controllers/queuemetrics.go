package controllers

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/util/workqueue"
)

// queueMetrics are the metrics of the controller's queue. It is a workqueue.MetricsProvider.
//
// Controller-runtime's own provider sees only its own queues: a queue of client-go asks the first provider that any
// package of the process has set, which is that of the metrics API's libraries, and nothing serves what they count. So
// the queue gets these, which are controller-runtime's metrics where a registry has them.
type queueMetrics struct {
	depth          *prometheus.GaugeVec
	adds           *prometheus.CounterVec
	waiting        *prometheus.HistogramVec
	work           *prometheus.HistogramVec
	unfinished     *prometheus.GaugeVec
	longestRunning *prometheus.GaugeVec
	retries        *prometheus.CounterVec
}

// newQueueMetrics registers the metrics, or takes those of the same names and descriptions that the registry has. It
// returns an error when the registry has others of these names.
func newQueueMetrics(registry prometheus.Registerer) (*queueMetrics, error) {
	labels := []string{"name", "controller"}
	gauge := func(name, help string, labels []string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                            name,
			Help:                            help,
			Buckets:                         prometheus.ExponentialBuckets(10e-9, 10, 12),
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, labels)
	}
	m := &queueMetrics{
		depth: gauge("workqueue_depth", "Current depth of workqueue by workqueue and priority",
			[]string{"name", "controller", "priority"}),
		adds: counter("workqueue_adds_total", "Total number of adds handled by workqueue"),
		waiting: histogram("workqueue_queue_duration_seconds",
			"How long in seconds an item stays in workqueue before being requested"),
		work: histogram("workqueue_work_duration_seconds",
			"How long in seconds processing an item from workqueue takes."),
		unfinished: gauge("workqueue_unfinished_work_seconds", "How many seconds of work has been done that "+
			"is in progress and hasn't been observed by work_duration. Large values indicate stuck threads. "+
			"One can deduce the number of stuck threads by observing the rate at which this increases.", labels),
		longestRunning: gauge("workqueue_longest_running_processor_seconds",
			"How many seconds has the longest running processor for workqueue been running.", labels),
		retries: counter("workqueue_retries_total", "Total number of items added to the workqueue with a non-zero delay "+
			"(rate-limited requeues, explicit RequeueAfter or AddAfter calls)"),
	}
	err := errors.Join(registerOrTake(registry, &m.depth), registerOrTake(registry, &m.adds),
		registerOrTake(registry, &m.waiting), registerOrTake(registry, &m.work),
		registerOrTake(registry, &m.unfinished), registerOrTake(registry, &m.longestRunning),
		registerOrTake(registry, &m.retries))
	if err != nil {
		return nil, fmt.Errorf("register the metrics of the queue: %w", err)
	}
	return m, nil
}

// registerOrTake registers a collector, or replaces it by the one that the registry has already. It returns an error
// when the registry refuses the collector for another reason.
func registerOrTake[C prometheus.Collector](registry prometheus.Registerer, collector *C) error {
	err := registry.Register(*collector)
	var registered prometheus.AlreadyRegisteredError
	if !errors.As(err, &registered) {
		return err //nolint:wrapcheck // the caller wraps it
	}
	existing, ok := registered.ExistingCollector.(C)
	if !ok {
		return fmt.Errorf("%w: it is a %T", err, registered.ExistingCollector)
	}
	*collector = existing
	return nil
}

// NewDepthMetric returns the number of requests that wait.
func (m *queueMetrics) NewDepthMetric(name string) workqueue.GaugeMetric {
	return m.depth.WithLabelValues(name, name, "")
}

// NewAddsMetric returns the number of requests that were added.
func (m *queueMetrics) NewAddsMetric(name string) workqueue.CounterMetric {
	return m.adds.WithLabelValues(name, name)
}

// NewLatencyMetric returns how long requests wait.
func (m *queueMetrics) NewLatencyMetric(name string) workqueue.HistogramMetric {
	return m.waiting.WithLabelValues(name, name)
}

// NewWorkDurationMetric returns how long reconciles take.
func (m *queueMetrics) NewWorkDurationMetric(name string) workqueue.HistogramMetric {
	return m.work.WithLabelValues(name, name)
}

// NewUnfinishedWorkSecondsMetric returns how long all reconciles that run have taken.
func (m *queueMetrics) NewUnfinishedWorkSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return m.unfinished.WithLabelValues(name, name)
}

// NewLongestRunningProcessorSecondsMetric returns how long the longest of the reconciles that run has taken.
func (m *queueMetrics) NewLongestRunningProcessorSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return m.longestRunning.WithLabelValues(name, name)
}

// NewRetriesMetric returns the number of requests that were added with a delay.
func (m *queueMetrics) NewRetriesMetric(name string) workqueue.CounterMetric {
	return m.retries.WithLabelValues(name, name)
}
