package server

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/controllers/metricsapi"
	"github.com/wsfleet/wsfleet/internal/golden"
	"github.com/wsfleet/wsfleet/internal/promdoc"
)

func TestServerMetricsAreDocumented(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := newServerMetrics(registry)
	require.NoError(t, err)
	metrics.setOwner(metricsapi.Owner{Kind: metricsapi.OwnerNone})
	documented, err := promdoc.Gather(registry)
	require.NoError(t, err)
	golden.Section(t, "../../../docs/metrics.md", "metrics-api", promdoc.Table(documented))
}

func TestServerMetricsNameOneOwner(t *testing.T) {
	metrics, err := newServerMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	metrics.setOwner(metricsapi.Owner{Kind: metricsapi.OwnerNone})
	metrics.setOwner(metricsapi.Owner{
		Kind:    metricsapi.OwnerForeign,
		Service: types.NamespacedName{Namespace: "monitoring", Name: "adapter"},
	})
	assert.Equal(t, 1, testutil.CollectAndCount(metrics.owner))
	assert.InDelta(t, 1, testutil.ToFloat64(metrics.owner.WithLabelValues("foreign", "monitoring/adapter")), 0)
}

func TestServerMetricsAreRegisteredOnce(t *testing.T) {
	registry := prometheus.NewRegistry()
	_, err := newServerMetrics(registry)
	require.NoError(t, err)
	_, err = newServerMetrics(registry)
	require.ErrorContains(t, err, "register")
}
