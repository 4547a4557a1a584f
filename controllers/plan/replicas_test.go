package plan

import (
	"testing"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

func TestReplicas(t *testing.T) {
	of := func(replicas int32) *appsv1.Deployment {
		return &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: new(replicas)}}
	}
	between := func(minReplicas, maxReplicas int32) *v1alpha1.AutoscalingSpec {
		return &v1alpha1.AutoscalingSpec{MinReplicas: new(minReplicas), MaxReplicas: maxReplicas}
	}
	for _, c := range []struct {
		name       string
		spec       v1alpha1.WebSocketClusterSpec
		deployment *appsv1.Deployment
		want       int32
	}{
		{"a new fleet", v1alpha1.WebSocketClusterSpec{}, nil, 2},
		{"a new fleet without Redis", v1alpha1.WebSocketClusterSpec{Redis: &v1alpha1.RedisSpec{}}, nil, 1},
		{"a new fleet below the minimum", v1alpha1.WebSocketClusterSpec{Autoscaling: between(6, 12)}, nil, 6},
		{"a new fleet above the maximum", v1alpha1.WebSocketClusterSpec{Autoscaling: between(1, 1)}, nil, 1},
		{"the spec wins", v1alpha1.WebSocketClusterSpec{Replicas: new(int32(3))}, of(8), 3},
		{"the spec wins over the minimum",
			v1alpha1.WebSocketClusterSpec{Replicas: new(int32(3)), Autoscaling: between(6, 12)}, of(8), 3},
		{"zero is a number", v1alpha1.WebSocketClusterSpec{Replicas: new(int32(0))}, of(8), 0},
		{"an existing fleet", v1alpha1.WebSocketClusterSpec{}, of(8), 8},
		{"an existing fleet at zero", v1alpha1.WebSocketClusterSpec{}, of(0), 0},
		{"autoscaling switched on", v1alpha1.WebSocketClusterSpec{Autoscaling: between(6, 12)}, of(8), 8},
		{"autoscaling switched on below the minimum", v1alpha1.WebSocketClusterSpec{Autoscaling: between(6, 12)}, of(2), 6},
		{"autoscaling switched on above the maximum", v1alpha1.WebSocketClusterSpec{Autoscaling: between(1, 4)}, of(8), 4},
		{"autoscaling down to zero", v1alpha1.WebSocketClusterSpec{Autoscaling: between(0, 4)}, of(0), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spec.SetDefaults()
			assert.Equal(t, c.want, Replicas(c.spec, c.deployment))
		})
	}
}
