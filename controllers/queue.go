package controllers

import (
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// fairQueues returns a function that makes the controller's queue: requests wait in one line per namespace, and the
// lines take turns. A tenant that creates or changes hundreds of clusters at once delays the next request of another
// tenant by one reconcile of each other namespace at most.
//
// The priority queue of controller-runtime orders by priority alone. It would put a tenant's one request behind all
// those that another tenant made before.
func fairQueues(metrics workqueue.MetricsProvider) newQueue {
	return func(
		name string, limiter workqueue.TypedRateLimiter[reconcile.Request],
	) workqueue.TypedRateLimitingInterface[reconcile.Request] {
		inTurns := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[reconcile.Request]{
			Name:            name,
			MetricsProvider: metrics,
			Queue:           newTurns(),
		})
		delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[reconcile.Request]{
			Name:            name,
			MetricsProvider: metrics,
			Queue:           inTurns,
		})
		return workqueue.NewTypedRateLimitingQueueWithConfig(limiter,
			workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{
				Name:            name,
				MetricsProvider: metrics,
				DelayingQueue:   delaying,
			})
	}
}

// newQueue makes a queue with a name.
type newQueue = func(
	string, workqueue.TypedRateLimiter[reconcile.Request],
) workqueue.TypedRateLimitingInterface[reconcile.Request]

// turns is the order of requests that wait. It is a workqueue.Queue: the work queue drops duplicates and locks.
type turns struct {
	// lines has the requests of each namespace that has any, the oldest first.
	lines map[string][]reconcile.Request
	// order has each namespace of lines once. The first one is the next whose turn it is.
	order []string
	size  int
}

func newTurns() *turns { return &turns{lines: map[string][]reconcile.Request{}} }

// Touch does nothing: a request that is added again keeps its place.
func (t *turns) Touch(reconcile.Request) {}

// Push adds a request to the end of its namespace's line.
func (t *turns) Push(request reconcile.Request) {
	line := t.lines[request.Namespace]
	if len(line) == 0 {
		t.order = append(t.order, request.Namespace)
	}
	t.lines[request.Namespace] = append(line, request)
	t.size++
}

// Len returns the number of requests that wait.
func (t *turns) Len() int { return t.size }

// Pop removes the oldest request of the namespace whose turn it is, and returns it. The queue must not be empty.
func (t *turns) Pop() reconcile.Request {
	namespace := t.order[0]
	t.order = t.order[1:]
	line := t.lines[namespace]
	request := line[0]
	if len(line) == 1 {
		delete(t.lines, namespace)
	} else {
		t.lines[namespace] = line[1:]
		t.order = append(t.order, namespace)
	}
	t.size--
	return request
}
