package promdoc_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/promdoc"
)

func TestTableSortsAndEscapes(t *testing.T) {
	require.Equal(t, "| name | type | labels | help |\n|---|---|---|---|\n"+
		"| `a` | counter | `x`, `y` | This\\|that. |\n"+
		"| `b` | gauge |  | Bees. |\n",
		promdoc.Table([]promdoc.Metric{
			{Name: "b", Type: promdoc.Gauge, Help: "Bees."},
			{Name: "a", Type: promdoc.Counter, Labels: []string{"x", "y"}, Help: "This|that."},
		}))
}

func TestGatherReturnsTheMetricsThatHaveValues(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "a", Help: "A."}, []string{"y", "x"})
	registry.MustRegister(counter, prometheus.NewGauge(prometheus.GaugeOpts{Name: "b", Help: "B."}))
	gauge := promdoc.Metric{Name: "b", Type: promdoc.Gauge, Help: "B."}
	metrics, err := promdoc.Gather(registry)
	require.NoError(t, err)
	require.Equal(t, []promdoc.Metric{gauge}, metrics)

	counter.WithLabelValues("1", "2")
	metrics, err = promdoc.Gather(registry)
	require.NoError(t, err)
	require.Equal(t, []promdoc.Metric{
		{Name: "a", Type: promdoc.Counter, Labels: []string{"x", "y"}, Help: "A."},
		gauge,
	}, metrics)
}
