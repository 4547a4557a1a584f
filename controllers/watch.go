package controllers

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

// indexSecrets is the name of the cache's index of clusters by the Secrets that they name.
const indexSecrets = "spec.secrets"

// addController adds the controller to the manager. A reconcile is triggered by the cluster's spec, the objects with
// its label, the Secrets that it names, its IngressClass, and the gateways' reports. addController returns an error
// when the manager refuses the index or the controller, or the metrics of the queue cannot be registered.
func addController(
	ctx context.Context, mgr manager.Manager, reconciler *Reconciler, monitor *fleet.Monitor, options Options,
) error {
	kinds := reconciler.kinds
	err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.WebSocketCluster{}, indexSecrets, namedSecrets)
	if err != nil {
		return fmt.Errorf("index clusters by the Secrets that they name: %w", err)
	}
	err = mgr.GetFieldIndexer().IndexField(
		ctx, &autoscalingv2.HorizontalPodAutoscaler{}, indexScaledCluster, scaledCluster)
	if err != nil {
		return fmt.Errorf("index HorizontalPodAutoscalers by what they scale: %w", err)
	}
	queueMetrics, err := newQueueMetrics(options.Metrics)
	if err != nil {
		return err
	}
	byLabel := handler.EnqueueRequestsFromMapFunc(clusterOfLabel)
	mapper := clusterMapper{mgr.GetClient()}

	fleets := builder.ControllerManagedBy(mgr).
		Named("websocketcluster").
		WithOptions(controller.Options{
			MaxConcurrentReconciles: options.MaxConcurrentReconciles,
			NewQueue:                fairQueues(queueMetrics),
		}).
		For(&v1alpha1.WebSocketCluster{}, builder.WithPredicates(userChange())).
		Watches(&appsv1.Deployment{}, byLabel).
		Watches(&corev1.Service{}, byLabel).
		Watches(&networkingv1.Ingress{}, byLabel).
		Watches(&corev1.Pod{}, byLabel, builder.WithPredicates(podStateChanged())).
		WatchesMetadata(&corev1.ServiceAccount{}, byLabel).
		WatchesMetadata(&corev1.ConfigMap{}, byLabel).
		WatchesMetadata(&corev1.PersistentVolumeClaim{}, byLabel).
		WatchesMetadata(&policyv1.PodDisruptionBudget{}, byLabel).
		WatchesMetadata(&networkingv1.NetworkPolicy{}, byLabel).
		Watches(&autoscalingv2.HorizontalPodAutoscaler{}, handler.EnqueueRequestsFromMapFunc(clusterOfAutoscaler),
			builder.WithPredicates(autoscalerChanged())).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(mapper.ofSecret)).
		WatchesRawSource(source.Channel(monitor.Changed(), &handler.EnqueueRequestForObject{})).
		WatchesRawSource(source.Channel(kinds.changed, handler.EnqueueRequestsFromMapFunc(mapper.withOptionalObjects))).
		WatchesRawSource(source.Channel(reconciler.upgrades.granted, &handler.EnqueueRequestForObject{}))
	reconciler.scope.enqueue(fleets, mapper)
	built, err := fleets.Build(reconciler)
	if err != nil {
		return fmt.Errorf("set up the controller: %w", err)
	}
	kinds.watch = built.Watch
	return reconciler.scope.follow(mgr, kinds)
}

// namedSecrets returns the names of the Secrets that the spec of a cluster names, sorted, and nil for another object.
func namedSecrets(object client.Object) []string {
	cluster, ok := object.(*v1alpha1.WebSocketCluster)
	if !ok {
		return nil
	}
	var names []string
	for _, value := range render.SecretValues(cluster.Spec) {
		names = append(names, value.Secret)
	}
	if redis := cluster.Spec.Redis; redis != nil && redis.External != nil && redis.External.CredentialsSecretRef != nil {
		names = append(names, redis.External.CredentialsSecretRef.Name)
	}
	if tls := cluster.Spec.Gateway.TLS; tls != nil {
		names = append(names, tls.SecretName)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// clusterOfLabel maps an object to the cluster that its label names. It does not use the owner reference, so that an
// object that lost its owner is repaired, and a foreign object that is deleted triggers a reconcile.
func clusterOfLabel(_ context.Context, object client.Object) []reconcile.Request {
	name := object.GetLabels()[render.LabelCluster]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: object.GetNamespace(), Name: name}}}
}

// clusterMapper maps objects to the clusters that depend on them.
type clusterMapper struct{ reader client.Reader }

// ofSecret returns the cluster of the Secret's label and the clusters whose spec names the Secret.
func (m clusterMapper) ofSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	requests := clusterOfLabel(ctx, secret)
	var naming v1alpha1.WebSocketClusterList
	err := m.reader.List(ctx, &naming, client.InNamespace(secret.GetNamespace()),
		client.MatchingFields{indexSecrets: secret.GetName()})
	if err != nil {
		log.FromContext(ctx).Error(err, "Could not find the clusters that name a Secret",
			"secret", client.ObjectKeyFromObject(secret))
	}
	return append(requests, requestsFor(naming.Items)...)
}

// withIngress returns all clusters with an Ingress: each class can become the default one or cease to be.
func (m clusterMapper) withIngress(ctx context.Context, class client.Object) []reconcile.Request {
	return m.with(ctx, class, func(spec v1alpha1.WebSocketClusterSpec) bool { return spec.Ingress != nil })
}

// withOptionalObjects returns all clusters that can have objects of optional kinds.
func (m clusterMapper) withOptionalObjects(ctx context.Context, definition client.Object) []reconcile.Request {
	return m.with(ctx, definition, render.WantsOptional)
}

// withAutoscaling returns all clusters that the owner of the custom metrics API concerns.
func (m clusterMapper) withAutoscaling(ctx context.Context, apiService client.Object) []reconcile.Request {
	return m.with(ctx, apiService, func(spec v1alpha1.WebSocketClusterSpec) bool { return spec.Autoscaling != nil })
}

// with returns the clusters whose spec is concerned by a change of the object.
func (m clusterMapper) with(
	ctx context.Context, changed client.Object, concerned func(v1alpha1.WebSocketClusterSpec) bool,
) []reconcile.Request {
	var all v1alpha1.WebSocketClusterList
	if err := m.reader.List(ctx, &all); err != nil {
		log.FromContext(ctx).Error(err, "Could not find the clusters that a change concerns", "changed", changed.GetName())
	}
	concernedClusters := slices.DeleteFunc(all.Items, func(cluster v1alpha1.WebSocketCluster) bool {
		return !concerned(cluster.Spec)
	})
	return requestsFor(concernedClusters)
}

func requestsFor(clusters []v1alpha1.WebSocketCluster) []reconcile.Request {
	requests := make([]reconcile.Request, 0, len(clusters))
	for i := range clusters {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&clusters[i])})
	}
	return requests
}

// userChange is a predicate that drops changes of a cluster that are not its user's, such as those of the status.
func userChange() predicate.Predicate {
	requests := []string{v1alpha1.AnnotationUpgradeRedis, v1alpha1.AnnotationRebalance}
	return predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.Funcs{
		UpdateFunc: func(change event.UpdateEvent) bool {
			before, now := change.ObjectOld.GetAnnotations(), change.ObjectNew.GetAnnotations()
			return slices.ContainsFunc(requests, func(name string) bool { return before[name] != now[name] })
		},
	})
}

// podStateChanged is a predicate that drops the many changes of a pod on which no status depends.
func podStateChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(change event.UpdateEvent) bool {
		before, wasPod := change.ObjectOld.(*corev1.Pod)
		now, isPod := change.ObjectNew.(*corev1.Pod)
		return !wasPod || !isPod || podStateOf(before) != podStateOf(now)
	}}
}

// podState is what a cluster's status depends on of a pod.
type podState struct {
	phase       corev1.PodPhase
	ready       corev1.ConditionStatus
	terminating bool
	// trouble is why the pod is not ready.
	trouble string
	// cluster is the value of the label that names the cluster.
	cluster string
}

func podStateOf(pod *corev1.Pod) podState {
	state := podState{
		phase:       pod.Status.Phase,
		terminating: pod.DeletionTimestamp != nil,
		trouble:     status.PodTrouble(pod),
		cluster:     pod.Labels[render.LabelCluster],
	}
	if ready := fleet.ReadyCondition(pod); ready != nil {
		state.ready = ready.Status
	}
	return state
}
