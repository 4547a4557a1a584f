package integration

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// applyWay is one of the two ways in which users apply manifests.
type applyWay struct {
	name string
	// apply makes the fleet's spec that of a manifest, whose predecessor it gets too.
	apply func(t *testing.T, f *fleet, before, now string)
}

func applyWays() []applyWay {
	return []applyWay{{"client-side", applyClientSide}, {"server-side", applyServerSide}}
}

// applyClientSide sends what `kubectl apply` computes: a merge patch that removes what the manifest no longer has.
func applyClientSide(t *testing.T, f *fleet, before, now string) {
	t.Helper()
	if before == "" {
		require.NoError(t, env.client.Create(t.Context(), manifest(t, f.namespace, f.name, now)))
		return
	}
	fields := map[string]any{}
	for key := range specOf(t, before) {
		fields[key] = nil
	}
	for key, value := range specOf(t, now) {
		fields[key] = value
	}
	patch, err := json.Marshal(map[string]any{"spec": fields})
	require.NoError(t, err)
	require.NoError(t, env.client.Patch(t.Context(), typed(manifest(t, f.namespace, f.name, "")),
		client.RawPatch(types.MergePatchType, patch), client.FieldOwner("kubectl-client-side-apply")))
}

// applyServerSide sends the manifest as `kubectl apply --server-side` does, which takes nothing from other managers by
// force.
func applyServerSide(t *testing.T, f *fleet, _, now string) {
	t.Helper()
	require.NoError(t, env.client.Apply(t.Context(),
		client.ApplyConfigurationFromUnstructured(manifest(t, f.namespace, f.name, now)), client.FieldOwner("kubectl")))
}

func specOf(t *testing.T, spec string) map[string]any {
	t.Helper()
	var fields map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(spec), &fields))
	return fields
}

// A user may leave replicas out at any time: the fleet keeps its size, and its Deployment is not written on the way.
func TestReplicasAreHandedOver(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	for _, way := range applyWays() {
		t.Run(way.name, func(t *testing.T) {
			f := &fleet{t: t, namespace: o.namespace, name: "fleet-" + way.name}
			const (
				fixed      = "{replicas: 8}"
				autoscaled = "{autoscaling: {minReplicas: 6, maxReplicas: 12}}"
				back       = "{replicas: 5}"
			)
			way.apply(t, f, "", fixed)
			f.eventuallyReplicas(8)
			f.eventuallySettled()
			generation := gatewayDeployment.get(t, f).GetGeneration()

			// Switched on.
			way.apply(t, f, fixed, autoscaled)
			f.eventuallyHas(gatewayAutoscaler)
			f.eventuallyReplicas(8)
			require.Equal(t, generation, gatewayDeployment.get(t, f).GetGeneration(), "the fleet changed on the way")

			// Applied again.
			way.apply(t, f, autoscaled, autoscaled)
			f.eventuallyReplicas(8)

			// Switched off, without a number.
			way.apply(t, f, autoscaled, "{}")
			f.eventuallyLacks(gatewayAutoscaler)
			f.eventuallyReplicas(8)
			require.Equal(t, generation, gatewayDeployment.get(t, f).GetGeneration(), "the fleet changed on the way")

			// Put back: the operator's number is no conflict with that of the user.
			way.apply(t, f, "{}", back)
			f.eventuallyReplicas(5)
			way.apply(t, f, back, "{}")
			f.eventuallyReplicas(5)
		})
	}
}

// The autoscaler's number stays when autoscaling is switched off.
func TestReplicasOfTheAutoscalerStay(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	for _, way := range applyWays() {
		t.Run(way.name, func(t *testing.T) {
			f := &fleet{t: t, namespace: o.namespace, name: "fleet-" + way.name}
			const autoscaled = "{autoscaling: {minReplicas: 3, maxReplicas: 12}}"
			way.apply(t, f, "", autoscaled)
			f.eventuallyReplicas(3)
			require.NoError(t, scaleTo(t, f.get(t), 7))
			f.eventuallyReplicas(7)
			way.apply(t, f, autoscaled, autoscaled)
			way.apply(t, f, autoscaled, "{}")
			f.eventuallyLacks(gatewayAutoscaler)
			f.eventuallyReplicas(7)
		})
	}
}

// A new fleet gets a size in the first reconcile, so that the scale subresource has a number from then on.
func TestReplicasOfANewFleet(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	for _, c := range []struct {
		title, spec string
		want        int32
	}{
		{"plain", "{}", 2},
		{"without-redis", "{redis: {}}", 1},
		{"above-two", "{autoscaling: {minReplicas: 6, maxReplicas: 12}}", 6},
		{"below-two", "{autoscaling: {maxReplicas: 1}}", 1},
		{"zero", "{replicas: 0}", 0},
	} {
		t.Run(c.title, func(t *testing.T) {
			f := createFleet(t, o.namespace, c.title, c.spec)
			f.eventuallyReplicas(c.want)
			require.Equal(t, c.want, readScale(t, f.get(t)).Spec.Replicas)
		})
	}
}

// Only a fleet whose user applies server-side costs a second write: only there could the ownership be in the way.
func TestReplicasCostOneWrite(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	for way, want := range map[string]int{"client-side": 1, "server-side": 2} {
		t.Run(way, func(t *testing.T) {
			f := &fleet{t: t, namespace: o.namespace, name: "fleet-" + way}
			for _, one := range applyWays() {
				if one.name == way {
					one.apply(t, f, "", "{}")
				}
			}
			f.eventuallySettled()
			o.awaitQuiet()
			var patches int
			for _, w := range writesBy(t, operatorUser, o.namespace) {
				if w.ObjectRef.Resource == "websocketclusters" && w.ObjectRef.Name == f.name && w.ObjectRef.Subresource == "" {
					patches++
				}
			}
			require.Equal(t, want, patches)
		})
	}
}

// A paused cluster is not written, and its status says what the fleet has.
func TestReplicasOfAPausedFleet(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "replicas: 4")
	f.eventuallyReplicas(4)
	f.setSpec("paused: true")
	f.eventually(func(t *assert.CollectT) { assert.Equal(t, "0/4", f.get(t).Status.Ready) })
	require.Nil(t, f.get(t).Spec.Replicas)
	f.setSpec("{}")
	f.eventuallyReplicas(4)
}

// eventuallyReplicas waits until the cluster and its Deployment have a number of replicas.
func (f *fleet) eventuallyReplicas(want int32) {
	f.t.Helper()
	f.eventually(func(t *assert.CollectT) {
		if replicas := f.get(t).Spec.Replicas; assert.NotNil(t, replicas) {
			assert.Equal(t, want, *replicas)
		}
		got, _, err := unstructured.NestedInt64(gatewayDeployment.get(t, f).Object, "spec", "replicas")
		require.NoError(t, err)
		assert.EqualValues(t, want, got)
	})
}
