package controllers

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	runtimemetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func requestOf(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Namespace: namespace, Name: name}}
}

func testQueue(t *testing.T) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	t.Helper()
	metrics, err := newQueueMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	queue := fairQueues(metrics)("test", workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
		time.Millisecond, time.Second))
	t.Cleanup(queue.ShutDown)
	return queue
}

// take returns the next n requests.
func take(queue workqueue.TypedInterface[reconcile.Request], n int) []string {
	names := make([]string, 0, n)
	for range n {
		request, _ := queue.Get()
		names = append(names, request.String())
		queue.Done(request)
	}
	return names
}

func TestFairQueueLetsNamespacesTakeTurns(t *testing.T) {
	queue := testQueue(t)
	for i := range 400 {
		queue.Add(requestOf("many", fmt.Sprint(i)))
	}
	queue.Add(requestOf("one", "a"))
	queue.Add(requestOf("two", "a"))
	queue.Add(requestOf("two", "b"))
	assert.Equal(t, []string{"many/0", "one/a", "two/a", "many/1", "two/b", "many/2", "many/3"}, take(queue, 7))
	assert.Equal(t, 396, queue.Len())
}

func TestFairQueueKeepsThePlaceOfARequestThatIsAddedAgain(t *testing.T) {
	queue := testQueue(t)
	queue.Add(requestOf("a", "first"))
	queue.Add(requestOf("a", "second"))
	queue.Add(requestOf("a", "first"))
	assert.Equal(t, []string{"a/first", "a/second"}, take(queue, 2))
	assert.Zero(t, queue.Len())
}

func TestFairQueueKeepsARequestThatComesDuringItsReconcile(t *testing.T) {
	queue := testQueue(t)
	queue.Add(requestOf("a", "x"))
	request, _ := queue.Get()
	queue.Add(request)
	assert.Zero(t, queue.Len(), "one request is not reconciled twice at once")
	queue.Done(request)
	assert.Equal(t, []string{"a/x"}, take(queue, 1))
}

func TestFairQueueDelaysRetries(t *testing.T) {
	queue := testQueue(t)
	queue.AddRateLimited(requestOf("a", "x"))
	queue.AddAfter(requestOf("b", "y"), time.Hour)
	assert.Equal(t, []string{"a/x"}, take(queue, 1))
	assert.Equal(t, 1, queue.NumRequeues(requestOf("a", "x")))
}

// Dashboards and alerts for controllers find the queue under controller-runtime's names.
func TestFairQueueCountsInTheMetricsOfControllerRuntime(t *testing.T) {
	metrics, err := newQueueMetrics(runtimemetrics.Registry)
	require.NoError(t, err)
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Millisecond, time.Second)
	queue := fairQueues(metrics)("counted", limiter)
	t.Cleanup(queue.ShutDown)
	queue.Add(requestOf("a", "x"))
	queue.Add(requestOf("a", "y"))
	take(queue, 1)
	queue.AddAfter(requestOf("a", "z"), time.Hour)

	families, err := runtimemetrics.Registry.Gather()
	require.NoError(t, err)
	counted := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "name" && label.GetValue() == "counted" {
					counted[family.GetName()] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() +
						float64(metric.GetHistogram().GetSampleCount())
				}
			}
		}
	}
	assert.Equal(t, map[string]float64{
		"workqueue_depth":                             1,
		"workqueue_adds_total":                        2,
		"workqueue_queue_duration_seconds":            1,
		"workqueue_work_duration_seconds":             1,
		"workqueue_unfinished_work_seconds":           0,
		"workqueue_longest_running_processor_seconds": 0,
		"workqueue_retries_total":                     1,
	}, counted)
}
