package render

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

func TestReconnectBudget(t *testing.T) {
	for _, c := range []struct {
		byHand, connectRate int32
		serving             int
		want                float64
	}{
		{0, 500, 4, 1000}, {0, 0, 4, 0}, {70, 500, 4, 70}, {70, 0, 4, 70}, {0, 1, 1, 0.5}, {0, 500, 0, 0}, {70, 500, 0, 70},
	} {
		var spec v1alpha1.WebSocketClusterSpec
		spec.SetDefaults()
		spec.Rollout.MaxReconnectsPerSecond, spec.Gateway.ConnectRate = &c.byHand, &c.connectRate
		assert.InDelta(t, c.want, ReconnectBudget(spec, c.serving), 0, "%+v", c)
	}
}

// Kubernetes lets go of as many gateways at the same moment as the Deployment's surge, and as the PodDisruptionBudget
// allow. They must not have more clients than the budget can hand over.
func TestMaxTogether(t *testing.T) {
	for _, c := range []struct {
		name                                      string
		connectRate, byHand, maxConnections, size int32
		maxUnavailable                            intstr.IntOrString
		want                                      int
	}{
		{"one at a time", 500, 0, 10_000, 100, intstr.FromInt32(1), 1},
		{"as many as may drain", 500, 0, 10_000, 100, intstr.FromString("10%"), 10},
		{"as many full ones as the others take in 290 s", 20, 0, 30_000, 100, intstr.FromString("50%"), 8},
		{"no more than the others take", 20, 0, 5_000, 100, intstr.FromString("50%"), 36},
		{"one at a time when even that takes longer", 20, 0, 300_000, 100, intstr.FromString("50%"), 1},
		{"a budget by hand", 500, 200, 10_000, 1000, intstr.FromString("50%"), 5},
		{"each closes one connection a second or more", 500, 7, 1, 1000, intstr.FromString("50%"), 7},
		{"no budget", 0, 0, 10_000, 100, intstr.FromString("50%"), 50},
		{"evictions are forbidden", 500, 0, 10_000, 100, intstr.FromInt32(0), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := v1alpha1.WebSocketClusterSpec{Replicas: &c.size}
			spec.Gateway.ConnectRate, spec.Gateway.MaxConnections = &c.connectRate, &c.maxConnections
			spec.Rollout.MaxReconnectsPerSecond, spec.Disruption.MaxUnavailable = &c.byHand, &c.maxUnavailable
			spec.Drain.Timeout = &metav1.Duration{Duration: 5 * time.Minute}
			spec.SetDefaults()
			assert.Equal(t, c.want, maxTogether(spec))
		})
	}
}
