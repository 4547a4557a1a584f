package fleetbench

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// watcher follows the clusters and their Deployments.
type watcher struct {
	cache cache.Cache

	// mu guards the fields below.
	mu          sync.Mutex
	converged   map[client.ObjectKey]bool
	deployments map[client.ObjectKey]bool
	// changed is closed and replaced when a map has changed.
	changed chan struct{}
}

// startWatcher starts to watch. onDeployment is called for each change of a Deployment. The watcher ends with ctx.
func startWatcher(ctx context.Context, p *plane, onDeployment func(*appsv1.Deployment)) (*watcher, error) {
	watched, err := cache.New(p.control.Config, cache.Options{Scheme: p.scheme})
	if err != nil {
		return nil, err
	}
	w := &watcher{
		cache:       watched,
		converged:   map[client.ObjectKey]bool{},
		deployments: map[client.ObjectKey]bool{},
		changed:     make(chan struct{}),
	}
	clusters, err := watched.GetInformer(ctx, &v1alpha1.WebSocketCluster{}, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, err
	}
	deployments, err := watched.GetInformer(ctx, &appsv1.Deployment{}, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, err
	}
	follow(clusters, func(cluster *v1alpha1.WebSocketCluster) {
		w.note(w.converged, client.ObjectKeyFromObject(cluster), hasConverged(cluster))
	})
	follow(deployments, func(deployment *appsv1.Deployment) {
		w.note(w.deployments, client.ObjectKeyFromObject(deployment), true)
		onDeployment(deployment)
	})
	go func() { _ = watched.Start(ctx) }()
	if !watched.WaitForCacheSync(ctx) {
		return nil, context.Cause(ctx)
	}
	return w, nil
}

// follow calls do for each object that is added or changed.
func follow[T any](informer cache.Informer, do func(T)) {
	call := func(object any) {
		if typed, ok := object.(T); ok {
			do(typed)
		}
	}
	// The informer returns an error only after it was stopped.
	_, _ = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    call,
		UpdateFunc: func(_, now any) { call(now) },
	})
}

// hasConverged reports whether the status says that the newest spec was carried out.
func hasConverged(cluster *v1alpha1.WebSocketCluster) bool {
	progressing := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ConditionProgressing)
	return progressing != nil && progressing.Status == metav1.ConditionFalse &&
		progressing.Reason == v1alpha1.ReasonSettled && progressing.ObservedGeneration == cluster.Generation
}

func (w *watcher) note(in map[client.ObjectKey]bool, key client.ObjectKey, value bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if in[key] != value {
		in[key] = value
		close(w.changed)
		w.changed = make(chan struct{})
	}
}

// await blocks until n keys of in are true and returns when that was. It returns an error when timeout has passed.
func (w *watcher) await(
	ctx context.Context, in map[client.ObjectKey]bool, n int, timeout time.Duration,
) (time.Time, error) {
	deadline := time.After(timeout)
	for {
		w.mu.Lock()
		count, changed := 0, w.changed
		for _, value := range in {
			if value {
				count++
			}
		}
		w.mu.Unlock()
		if count >= n {
			return time.Now(), nil
		}
		select {
		case <-changed:
		case <-deadline:
			return time.Time{}, fmt.Errorf("%d of %d are there after %v", count, n, timeout)
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

// createCluster creates a cluster with the spec in YAML.
func (p *plane) createCluster(ctx context.Context, namespace, name, spec string) error {
	cluster := &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := yaml.UnmarshalStrict([]byte(spec), &cluster.Spec); err != nil {
		return err
	}
	return p.client.Create(ctx, cluster)
}

// create creates n clusters with the spec, spread over all namespaces.
func (p *plane) create(ctx context.Context, n int, spec string) error {
	return inParallel(ctx, n, func(ctx context.Context, i int) error {
		return p.createCluster(ctx, namespace(i), fmt.Sprintf("fleet-%04d", i), spec)
	})
}
