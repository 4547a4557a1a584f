package server

import (
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	apiprovider "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// newTestProvider returns a provider of the fleet demo, whose gateway reader answers for.
func newTestProvider(t *testing.T, reader *fakeReader, objects ...client.Object) *provider {
	t.Helper()
	scheme, err := NewScheme()
	require.NoError(t, err)
	cluster := clusterMetadata()
	cluster.Namespace, cluster.Name, cluster.Labels = demo.Namespace, demo.Name, map[string]string{"team": "blue"}
	pod := podNamed("a", true)
	pod.Labels = map[string]string{render.LabelCluster: demo.Name, "app": "gateway"}
	metrics, err := newServerMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	return &provider{
		cache:    fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(objects, cluster, pod)...).Build(),
		readings: newTestReadings(reader),
		metrics:  metrics,
		log:      logr.Discard(),
	}
}

func info(resource schema.GroupResource, metric string) apiprovider.CustomMetricInfo {
	return apiprovider.CustomMetricInfo{GroupResource: resource, Namespaced: true, Metric: metric}
}

var demoName = demo

func TestProviderServesEachMetricOfACluster(t *testing.T) {
	p := newTestProvider(t, &fakeReader{connections: 7})
	for metric, want := range map[string]string{
		contract.MetricConnections:         "7",
		contract.MetricConnectionsMaxRatio: "700m",
	} {
		value, err := p.GetMetricByName(t.Context(), demoName, info(clusters, metric), labels.Everything())
		require.NoError(t, err)
		assert.Equal(t, want, value.Value.String())
		assert.Equal(t, metric, value.Metric.Name)
		assert.Equal(t, "WebSocketCluster", value.DescribedObject.Kind)
		assert.Equal(t, "wsfleet.dev/v1alpha1", value.DescribedObject.APIVersion)
		assert.Equal(t, demo, client.ObjectKey{Namespace: value.DescribedObject.Namespace, Name: value.DescribedObject.Name})

		list, err := p.GetMetricBySelector(t.Context(), "team", labels.SelectorFromSet(labels.Set{"team": "blue"}),
			info(clusters, metric), labels.Everything())
		require.NoError(t, err)
		require.Len(t, list.Items, 1)
		assert.Equal(t, want, list.Items[0].Value.String())
	}
	_, err := p.GetMetricByName(t.Context(), demoName, info(clusters, contract.MetricConnectRate), nil)
	require.ErrorContains(t, err, "reports no connect rate")
}

func TestProviderServesTheConnectionsOfAPod(t *testing.T) {
	other := &corev1.Pod{}
	other.Namespace, other.Name, other.UID = "team", "redis", "redis"
	other.Labels = map[string]string{render.LabelCluster: demo.Name}
	p := newTestProvider(t, &fakeReader{connections: 7}, other)
	connections := info(pods, contract.MetricConnections)
	value, err := p.GetMetricByName(t.Context(), types.NamespacedName{Namespace: "team", Name: "a"}, connections, nil)
	require.NoError(t, err)
	assert.Equal(t, "7", value.Value.String())
	assert.Equal(t, "Pod", value.DescribedObject.Kind)

	list, err := p.GetMetricBySelector(t.Context(), "team", labels.Everything(), connections, nil)
	require.NoError(t, err)
	require.Len(t, list.Items, 1, "a pod that is no gateway is left out")
	assert.Equal(t, "a", list.Items[0].DescribedObject.Name)

	_, err = p.GetMetricByName(t.Context(), types.NamespacedName{Namespace: "team", Name: "redis"}, connections, nil)
	require.ErrorContains(t, err, errNoGateway.Error())
}

func TestProviderKnowsNoOtherMetricsAndObjects(t *testing.T) {
	p := newTestProvider(t, &fakeReader{})
	someLabel := labels.SelectorFromSet(labels.Set{"a": "b"})
	for name, c := range map[string]struct {
		object   string
		info     apiprovider.CustomMetricInfo
		selector labels.Selector
	}{
		"another metric":           {"demo", info(clusters, "requests"), nil},
		"a fleet's metric of pods": {"a", info(pods, contract.MetricConnectRate), nil},
		"another resource": {"demo", info(schema.GroupResource{Resource: "services"}, contract.MetricConnections),
			nil},
		"labels of a metric": {"demo", info(clusters, contract.MetricConnections), someLabel},
		"not of a namespace": {
			"demo", apiprovider.CustomMetricInfo{GroupResource: clusters, Metric: contract.MetricConnections}, nil,
		},
		"another cluster": {"other", info(clusters, contract.MetricConnections), nil},
		"another pod":     {"other", info(pods, contract.MetricConnections), nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.GetMetricByName(t.Context(), types.NamespacedName{Namespace: "team", Name: c.object}, c.info, c.selector)
			require.True(t, apierrors.IsNotFound(err), "%v", err)
		})
	}
	_, err := p.GetMetricBySelector(t.Context(), "team", labels.Everything(), info(clusters, "requests"), nil)
	require.True(t, apierrors.IsNotFound(err))
	list, err := p.GetMetricBySelector(t.Context(), "empty", labels.Everything(), info(pods, contract.MetricConnections),
		nil)
	require.NoError(t, err)
	assert.Empty(t, list.Items)
}

func TestProviderSaysWhyItHasNoMetric(t *testing.T) {
	p := newTestProvider(t, &fakeReader{err: errSilent})
	_, err := p.GetMetricByName(t.Context(), demoName, info(clusters, contract.MetricConnections), nil)
	require.True(t, apierrors.IsServiceUnavailable(err))
	require.ErrorContains(t, err, "check that the metrics API can reach port 9090")
	_, err = p.GetMetricBySelector(t.Context(), "team", labels.Everything(), info(clusters, contract.MetricConnections),
		nil)
	require.True(t, apierrors.IsServiceUnavailable(err), "none of the list is known")
	assert.InDelta(t, 2, testutil.ToFloat64(p.metrics.answers.WithLabelValues(string(outcomeFailed))), 0)
}

func TestProviderListsItsMetrics(t *testing.T) {
	assert.Len(t, (&provider{}).ListAllMetrics(), 4)
}
