package integration

import "testing"

// refusedAsUnreadable has what the API server could store and the operator not read: that would keep
// it from every cluster, not only from the one that it is in.
func refusedAsUnreadable() []refusal {
	return []refusal{
		{spec: "rollout: {maxSurge: 99999999999}", field: "spec.rollout.maxSurge", says: saysPercentage},
		{spec: "rollout: {maxUnavailable: 99999999999}", field: "spec.rollout.maxUnavailable", says: saysPercentage},
		{spec: "disruption: {maxUnavailable: 99999999999}", field: "spec.disruption.maxUnavailable", says: saysPercentage},
		{spec: "resources: {limits: {cpu: 1e1.5}}", field: "spec.resources.limits", says: saysQuantity},
		{spec: "resources: {requests: {cpu: 1e1.5}}", field: "spec.resources.requests", says: saysQuantity},
		{spec: "redis: {managed: {resources: {limits: {cpu: 1e1.5}}}}", field: "spec.redis.managed.resources.limits", says: saysQuantity},
		{spec: "redis: {managed: {resources: {requests: {cpu: 1e1.5}}}}", field: "spec.redis.managed.resources.requests", says: saysQuantity},
		{spec: "autoscaling: {maxReplicas: 3, behavior: {scaleUp: {tolerance: 1e1.5}}}", field: "spec.autoscaling.behavior.scaleUp.tolerance", says: saysTolerance},
		{spec: "autoscaling: {maxReplicas: 3, behavior: {scaleDown: {tolerance: 1e1.5}}}", field: "spec.autoscaling.behavior.scaleDown.tolerance", says: saysTolerance},
		{
			spec:  "pod: {env: [{name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1e1.5}}}]}",
			field: "spec.pod.env", says: saysDivisor,
		},
	}
}

func TestUnreadableRefused(t *testing.T) {
	t.Parallel()
	testRefusals(t, refusedAsUnreadable())
}

// These the operator can read, and Kubernetes or the gateway would refuse.
func TestUnusableRefused(t *testing.T) {
	t.Parallel()
	testRefusals(t, []refusal{
		{title: "with a port above 65535", spec: "redis: {external: {addresses: ['r:65536']}}", field: "spec.redis.external.addresses", says: saysAddress},
		{title: "with port 0", spec: "redis: {external: {addresses: ['[::1]:0']}}", field: "spec.redis.external.addresses", says: saysAddress},
		{
			title: "twice",
			spec:  "pod: {topologySpreadConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: ScheduleAnyway}, {maxSkew: 2, topologyKey: z, whenUnsatisfiable: ScheduleAnyway}]}",
			field: "spec.pod.topologySpreadConstraints[1]", says: saysTwice,
		},
	})
}
