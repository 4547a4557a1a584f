package plan

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

func TestMetricsSource(t *testing.T) {
	const (
		auto     = v1alpha1.AutoscalingMetricsAuto
		builtIn  = v1alpha1.AutoscalingMetricsBuiltIn
		existing = v1alpha1.AutoscalingMetricsExisting
	)
	assert.Empty(t, MetricsSource(nil, true))
	for _, c := range []struct {
		wanted  v1alpha1.AutoscalingMetrics
		foreign bool
		want    v1alpha1.AutoscalingMetrics
	}{
		{auto, false, builtIn},
		{auto, true, existing},
		{builtIn, true, builtIn},
		{existing, false, existing},
	} {
		assert.Equal(t, c.want, MetricsSource(&v1alpha1.AutoscalingSpec{Metrics: c.wanted}, c.foreign), "%+v", c)
	}
}
