package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// kubectl scale and the HorizontalPodAutoscaler use the scale subresource.
func TestReconcilerScales(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()

	for _, replicas := range []string{"5", "1", "0", "3"} {
		var count int32
		for _, digit := range replicas {
			count = count*10 + digit - '0'
		}
		require.NoError(t, scaleTo(t, f.get(t), count))
		f.eventually(func(t *assert.CollectT) {
			assert.Equal(t, replicas, read(t, gatewayDeployment.get(t, f), ".spec.replicas"))
		})
		if count <= 1 {
			f.eventuallyLacks(gatewayBudget)
		} else {
			f.eventuallyHas(gatewayBudget)
		}
	}

	scale := readScale(t, f.get(t))
	require.EqualValues(t, 3, scale.Spec.Replicas)
	// An autoscaler must find the gateways by the selector, and not the Redis.
	selector, err := labels.Parse(scale.Status.Selector)
	require.NoError(t, err)
	require.False(t, selector.Empty())
	require.True(t, selector.Matches(podLabels(t, gatewayDeployment, f)))
	require.False(t, selector.Matches(podLabels(t, redisDeployment, f)))
}

func podLabels(t *testing.T, deployment child, f *fleet) labels.Set {
	t.Helper()
	return podMeta(t, deployment, f, "labels")
}

func podAnnotations(t *testing.T, deployment child, f *fleet) map[string]string {
	t.Helper()
	return podMeta(t, deployment, f, "annotations")
}

func podMeta(t *testing.T, deployment child, f *fleet, field string) map[string]string {
	t.Helper()
	found, _, err := unstructured.NestedStringMap(deployment.get(t, f).Object, "spec", "template", "metadata", field)
	require.NoError(t, err)
	return found
}
