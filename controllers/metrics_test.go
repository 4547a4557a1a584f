package controllers

import (
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/golden"
	"github.com/wsfleet/wsfleet/internal/promdoc"
)

func registeredMetrics(t *testing.T) (*operatorMetrics, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	metrics, err := newOperatorMetrics(registry)
	require.NoError(t, err)
	return metrics, registry
}

// samples returns the values of all counters and gauges by name and labels.
func samples(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			name := strings.TrimPrefix(family.GetName(), metricPrefix) + "(" + strings.Join(labels, ",") + ")"
			values[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() +
				float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return values
}

func TestOperatorMetricsCount(t *testing.T) {
	metrics, registry := registeredMetrics(t)
	object := everyObject(t)[0]
	metrics.countObjects([]objectResult{
		{object: object, outcome: outcomeCreated},
		{object: object, outcome: outcomeRepaired},
		{object: object, outcome: outcomeRepaired},
		{object: object, outcome: outcomeForeign},
		{object: object},
	})
	metrics.startPhase(phaseApply)()
	metrics.scrapeFailures.Inc()
	a, b := client.ObjectKey{Namespace: "n", Name: "a"}, client.ObjectKey{Namespace: "n", Name: "b"}
	available := func(status metav1.ConditionStatus) []metav1.Condition {
		return []metav1.Condition{{Type: v1alpha1.ConditionAvailable, Status: status}}
	}
	metrics.fleets.set(a, available(metav1.ConditionFalse))
	metrics.fleets.set(a, available(metav1.ConditionTrue))
	metrics.fleets.set(b, available(metav1.ConditionTrue))

	assert.Equal(t, map[string]float64{
		"applied_objects_total(ServiceAccount,created)":  1,
		"applied_objects_total(ServiceAccount,repaired)": 2,
		"reconcile_phase_duration_seconds(apply)":        1,
		"scrape_failures_total()":                        1,
		"fleets(Available,True)":                         2,
		"foreign_fleets()":                               0,
	}, samples(t, registry))

	metrics.fleets.forget(a)
	assert.InDelta(t, 1, samples(t, registry)["fleets(Available,True)"], 0)
}

func TestOperatorMetricsAreRegisteredOnce(t *testing.T) {
	_, registry := registeredMetrics(t)
	_, err := newOperatorMetrics(registry)
	require.ErrorContains(t, err, "register")
}

func TestOperatorMetricsAreDocumented(t *testing.T) {
	metrics, registry := registeredMetrics(t)
	// A metric with labels is gathered only when it has a value.
	metrics.countObjects([]objectResult{{object: everyObject(t)[0], outcome: outcomeCreated}})
	metrics.startPhase(phaseApply)()
	metrics.fleets.set(client.ObjectKey{Name: "a"}, []metav1.Condition{{Type: "A", Status: metav1.ConditionTrue}})
	filter, err := NewDecodeFilter(registry, logr.Discard())
	require.NoError(t, err)
	filter.decodes([]byte(`{"spec":{"replicas":"many"}}`))
	documented, err := promdoc.Gather(registry)
	require.NoError(t, err)
	golden.Section(t, "../docs/metrics.md", "operator", promdoc.Table(documented))
}
