package integration

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// change is a spec that can be created, and another spec to which it must not be changed.
type change struct {
	title, from, to string
	field, msg      string
}

func TestAPIRefusesChanges(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	for i, c := range changesRefused() {
		t.Run(c.title, func(t *testing.T) {
			cluster := manifest(t, namespace, fmt.Sprintf("fleet-%d", i), c.from)
			require.NoError(t, env.client.Create(t.Context(), cluster))
			next := manifest(t, namespace, cluster.GetName(), c.to)
			next.SetResourceVersion(cluster.GetResourceVersion())
			requireRefused(t, env.client.Update(t.Context(), next, client.DryRunAll), c.field, c.msg)
		})
	}
}

// The remedies that the messages of refusals name are accepted.
func TestAPIAcceptsChanges(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	for title, specs := range map[string][]string{
		"load-balancer-class": {
			"service: {type: LoadBalancer, loadBalancerClass: a.example/b}",
			"service: {type: ClusterIP}",
			"service: {type: LoadBalancer, loadBalancerClass: a.example/c}",
		},
		"storage": {
			"{replicas: 2, redis: {managed: {storage: {size: 1Gi, storageClassName: a}}}}",
			"{replicas: 2, redis: {managed: {storage: {size: 2Gi, storageClassName: a}}}}",
			"{replicas: 0, redis: {managed: {storage: {size: 2Gi, storageClassName: a}}}}",
			"{replicas: 0, redis: {managed: {}}}",
			"{replicas: 2, redis: {managed: {storage: {size: 1Gi, storageClassName: b}}}}",
		},
		"redis-at-zero-replicas": {
			"{replicas: 2, redis: {managed: {}}}",
			"{replicas: 0, redis: {managed: {}}}",
			"{replicas: 0, redis: {external: {mode: Sentinel, masterName: main, addresses: ['s:26379']}}}",
			"{replicas: 0, redis: {external: {mode: Cluster, addresses: ['c:6379']}}}",
			"{replicas: 3, redis: {external: {mode: Cluster, addresses: ['c:6379']}}}",
		},
		"redis-addresses-and-credentials": {
			"{replicas: 2, redis: {external: {mode: Sentinel, masterName: main, addresses: ['s:26379']}}}",
			"{replicas: 2, redis: {external: {mode: Sentinel, masterName: other, addresses: ['s:26379', 't:26379']}}}",
			"{replicas: 2, redis: {external: {mode: Sentinel, masterName: other, addresses: ['t:26379'], " +
				"credentialsSecretRef: {name: c}}}}",
		},
		"redis-none-at-one-replica": {
			"{replicas: 2, redis: {managed: {}}}",
			"{replicas: 1, redis: {managed: {}}}",
			"{replicas: 1, redis: {}}",
			"{replicas: 3, redis: {external: {addresses: ['r:6379']}}}",
			"{replicas: 1, redis: {external: {addresses: ['r:6379']}}}",
			"{replicas: 1, redis: {}}",
			"{replicas: 2}",
		},
	} {
		t.Run(title, func(t *testing.T) {
			cluster := manifest(t, namespace, title, specs[0])
			require.NoError(t, env.client.Create(t.Context(), cluster))
			for _, spec := range specs[1:] {
				next := manifest(t, namespace, title, spec)
				next.SetResourceVersion(cluster.GetResourceVersion())
				require.NoError(t, env.client.Update(t.Context(), next), spec)
				cluster = next
			}
		})
	}
}
