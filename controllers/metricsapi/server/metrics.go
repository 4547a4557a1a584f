package server

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wsfleet/wsfleet/controllers/metricsapi"
)

// metricPrefix begins the name of every metric of the metrics API.
const metricPrefix = "wsfleet_metrics_api_"

// outcome says how a request for a metric was answered.
type outcome string

const (
	// outcomeComplete means that every gateway had answered just now.
	outcomeComplete outcome = "complete"
	// outcomeStale means that a gateway did not answer, and that its last report was used.
	outcomeStale outcome = "stale"
	// outcomeFailed means that the metric could not be computed.
	outcomeFailed outcome = "failed"
)

// serverMetrics are the metrics API's own metrics.
type serverMetrics struct {
	answers           *prometheus.CounterVec
	scrapeFailures    prometheus.Counter
	owner             *prometheus.GaugeVec
	certificateExpiry prometheus.Gauge
}

// newServerMetrics registers the metrics. It returns an error when one of them is registered already.
func newServerMetrics(registry prometheus.Registerer) (*serverMetrics, error) {
	m := &serverMetrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricPrefix + "answers_total",
			Help: "The number of requests for metrics of a fleet. A stale answer contains the last report of a gateway that " +
				"did not answer. outcome is one of complete, stale, failed.",
		}, []string{"outcome"}),
		scrapeFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: metricPrefix + "scrape_failures_total",
			Help: "The number of requests for a gateway's report that returned none.",
		}),
		owner: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: metricPrefix + "owner",
			Help: "1 for the server that the API server asks for custom metrics: the kind of its owner, and its Service as " +
				"namespace/name. kind is one of none, built-in, foreign.",
		}, []string{"kind", "service"}),
		certificateExpiry: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: metricPrefix + "certificate_expiry_timestamp_seconds",
			Help: "The time at which the serving certificate expires, in seconds since 1970.",
		}),
	}
	for _, o := range []outcome{outcomeComplete, outcomeStale, outcomeFailed} {
		m.answers.WithLabelValues(string(o))
	}
	for _, collector := range []prometheus.Collector{m.answers, m.scrapeFailures, m.owner, m.certificateExpiry} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("register the metrics of the metrics API: %w", err)
		}
	}
	return m, nil
}

// setOwner exports owner in the place of the one before.
func (m *serverMetrics) setOwner(owner metricsapi.Owner) {
	service := ""
	if owner.Service.Name != "" {
		service = owner.Service.String()
	}
	m.owner.Reset()
	m.owner.WithLabelValues(string(owner.Kind), service).Set(1)
}
