package integration

import "testing"

// refusedAsUnreadable returns manifests that the API server could store and the operator could not decode. One such
// object would make the operator's list of all clusters fail.
func refusedAsUnreadable() []refusal {
	return []refusal{
		{spec: "rollout: {maxSurge: 99999999999}", field: "spec.rollout.maxSurge", msg: msgPercentage},
		{spec: "rollout: {maxUnavailable: 99999999999}", field: "spec.rollout.maxUnavailable", msg: msgPercentage},
		{spec: "disruption: {maxUnavailable: 99999999999}", field: "spec.disruption.maxUnavailable", msg: msgPercentage},
		{spec: "resources: {limits: {cpu: 1e1.5}}", field: "spec.resources.limits", msg: msgQuantity},
		{spec: "resources: {requests: {cpu: 1e1.5}}", field: "spec.resources.requests", msg: msgQuantity},
		{
			spec:  "redis: {managed: {resources: {limits: {cpu: 1e1.5}}}}",
			field: "spec.redis.managed.resources.limits",
			msg:   msgQuantity,
		},
		{
			spec:  "redis: {managed: {resources: {requests: {cpu: 1e1.5}}}}",
			field: "spec.redis.managed.resources.requests",
			msg:   msgQuantity,
		},
		{
			spec:  "autoscaling: {maxReplicas: 3, behavior: {scaleUp: {tolerance: 1e1.5}}}",
			field: "spec.autoscaling.behavior.scaleUp.tolerance",
			msg:   msgTolerance,
		},
		{
			spec:  "autoscaling: {maxReplicas: 3, behavior: {scaleDown: {tolerance: 1e1.5}}}",
			field: "spec.autoscaling.behavior.scaleDown.tolerance",
			msg:   msgTolerance,
		},
		{
			spec:  "pod: {env: [{name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1e1.5}}}]}",
			field: "spec.pod.env", msg: msgDivisor,
		},
	}
}

func TestAPIRefusesUnreadableValues(t *testing.T) {
	t.Parallel()
	testRefused(t, refusedAsUnreadable())
}

// The operator could read these values, but Kubernetes or the gateway would refuse them.
func TestAPIRefusesUnusableValues(t *testing.T) {
	t.Parallel()
	testRefused(t, []refusal{
		{
			title: "with a port above 65535",
			spec:  "redis: {external: {addresses: ['r:65536']}}",
			field: "spec.redis.external.addresses",
			msg:   msgAddress,
		},
		{
			title: "with port 0",
			spec:  "redis: {external: {addresses: ['[::1]:0']}}",
			field: "spec.redis.external.addresses",
			msg:   msgAddress,
		},
		{
			title: "twice",
			spec: "pod: {topologySpreadConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: ScheduleAnyway}, " +
				"{maxSkew: 2, topologyKey: z, whenUnsatisfiable: ScheduleAnyway}]}",
			field: "spec.pod.topologySpreadConstraints[1]",
			msg:   msgTwice,
		},
	})
}
