package render

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// No more gateways leave at once than the others can take over.
func TestDrainablePercent(t *testing.T) {
	for _, c := range []struct {
		name    string
		rate    int32
		timeout time.Duration
		want    int32
	}{
		// 500 a second for 300 s are 150,000 connections for each gateway with 7,500: 95 % in three steps.
		{"defaults", 500, 5 * time.Minute, 31},
		{"no limit", 0, 5 * time.Minute, 100},
		{"a slow fleet", 1, 5 * time.Minute, 1},
		{"a short drain", 500, time.Second, 6},
		{"all clients at once", 500, 0, 0},
		{"a long drain", 500, 24 * time.Hour, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := v1alpha1.WebSocketClusterSpec{Autoscaling: &v1alpha1.AutoscalingSpec{MaxReplicas: 9}}
			spec.Gateway.ConnectRate = &c.rate
			spec.Drain.Timeout = &metav1.Duration{Duration: c.timeout}
			spec.SetDefaults()
			assert.Equal(t, c.want, drainablePercent(spec))
		})
	}
}
