package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/metricsapi"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

// Reconciler reconciles WebSocketClusters. A reconcile has four phases: observe, render, apply and status.
type Reconciler struct {
	client  client.Client
	secrets *secretReader
	applier *applier
	scope   clusterScope
	kinds   *optionalKinds
	fleet   *fleet.Monitor
	events  *dedupRecorder
	metrics *operatorMetrics
	images  render.Images
	// namespace is the operator's own, or empty outside of the cluster.
	namespace string
	operators *operators
	// recheck is how soon the operator looks again at what it cannot watch.
	recheck time.Duration
	pace    *statusPace
	// upgrades are the fleets that wait until they may follow the operator's release.
	upgrades *upgrades
}

// observedState is what a reconcile knows of the cluster before it writes.
type observedState struct {
	credentials credentials
	class       status.IngressClass
	installed   render.Installed
	listeners   []status.Listener
	pods        []corev1.Pod
	// problems keep the operator from applying the spec.
	problems []status.Problem
	// gateways is the gateways' Deployment, or nil when there is none.
	gateways *appsv1.Deployment
	// deletionDeadline is when the deletion of the fleet goes on without its gateways. It is zero unless the fleet is
	// being deleted.
	deletionDeadline time.Time
	redisPods        []corev1.Pod
	// next is what to do about the fleet's gateways.
	next nextStep
	// metricsOwner is the server of the custom metrics API.
	metricsOwner metricsapi.Owner
	// otherAutoscalers scale the fleet and are not the operator's.
	otherAutoscalers []autoscalingv2.HorizontalPodAutoscaler
}

// Reconcile applies the objects of one WebSocketCluster that differ, and writes its status. A cluster that is being
// deleted is taken down by reconcileDeletion.
//
// Reconcile returns an error when the request has to be tried again: a read or a write failed for now, or the cluster
// cannot be rendered. What the user has to solve is in the status and returns no error.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var stored v1alpha1.WebSocketCluster
	if err := r.client.Get(ctx, request.NamespacedName, &stored); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(request.NamespacedName)
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, err
	}
	mine, err := r.managesFleet(ctx, &stored)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !mine {
		r.upgrades.end(request.NamespacedName, false)
		return reconcile.Result{RequeueAfter: r.operators.heartbeat()}, nil
	}
	if stored.DeletionTimestamp != nil {
		result, err := r.reconcileDeletion(ctx, &stored)
		if err != nil {
			return retryConflict(ctx, err)
		}
		return result, nil
	}
	problem, err := r.completeCluster(ctx, &stored)
	if err != nil {
		return retryConflict(ctx, err)
	}
	cluster := stored.DeepCopy()
	cluster.Spec.SetDefaults()

	observed, err := r.observe(ctx, cluster)
	if err != nil {
		return reconcile.Result{}, err
	}
	if problem != nil {
		observed.problems = append(observed.problems, *problem)
	}
	observed.next = r.planNext(ctx, cluster, observed)
	input := r.input(cluster, observed)
	input.GatewayReplicas = &observed.next.scaleIn.Replicas
	input.HoldRollout, input.HoldLast = observed.next.hold.Why != "", observed.next.hold.Last
	input.RefusedVersion = observed.next.hold.Refused
	input.HoldEvictions = observed.next.evictionsWait != ""
	objects, err := r.render(input)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("render: %w", err)
	}
	result, err := r.apply(ctx, cluster, objects, observed)
	if err != nil {
		return retryConflict(ctx, err)
	}
	drainCheck := r.carryOut(ctx, &stored, observed.next, result)
	r.markDraining(ctx, cluster, observed.pods)
	recheck, err := r.updateStatus(ctx, &stored, cluster, input, result, observed)
	if err != nil {
		return retryConflict(ctx, err)
	}
	if err := result.retry(); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{
		RequeueAfter: soonest([]time.Duration{recheck, drainCheck, r.requeueAfter(cluster, result, observed)}),
	}, nil
}

// retryConflict returns err, unless it says that the cluster has changed or is gone since it was read: the reconcile is
// repeated soon then.
func retryConflict(ctx context.Context, err error) (reconcile.Result, error) {
	if errors.Is(err, errNotNew) {
		log.FromContext(ctx).V(1).Info("The cluster is not new; reconciling again", "reason", err.Error())
		return reconcile.Result{RequeueAfter: time.Millisecond}, nil
	}
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		log.FromContext(ctx).V(1).Info("The cluster has changed meanwhile; reconciling again", "reason", err.Error())
		return reconcile.Result{RequeueAfter: time.Second}, nil
	}
	return reconcile.Result{}, err
}

// forget drops what is kept in memory of a cluster that was deleted.
func (r *Reconciler) forget(cluster client.ObjectKey) {
	r.forgetSecrets(cluster)
	r.applier.contention.forget(cluster)
	r.metrics.fleets.forget(cluster)
	r.applier.newClusters.forget(cluster)
	r.pace.forget(cluster)
	r.metrics.leftToOthers.Remove(cluster)
	r.upgrades.end(cluster, false)
}

// observe reads what the desired objects and the status depend on. It returns an error when a read fails.
func (r *Reconciler) observe(ctx context.Context, cluster *v1alpha1.WebSocketCluster) (observedState, error) {
	defer r.metrics.startPhase(phaseObserve)()
	var (
		observed observedState
		err      error
	)
	if observed.credentials, err = r.readCredentials(ctx, cluster); err != nil {
		return observed, err
	}
	observed.problems = slices.Clone(observed.credentials.problems)
	if observed.class, err = r.ingressClass(ctx, cluster.Spec.Ingress); err != nil {
		return observed, err
	}
	if observed.installed, err = r.kinds.Installed(ctx); err != nil {
		return observed, err
	}
	observed.problems = append(observed.problems, notInstalled(cluster.Spec, observed.installed)...)
	if observed.listeners, err = r.listeners(ctx, cluster, observed.installed); err != nil {
		return observed, err
	}
	key := client.ObjectKeyFromObject(cluster)
	if observed.pods, err = podsOf(ctx, r.client, key, render.ComponentGateway); err != nil {
		return observed, fmt.Errorf("list gateway pods: %w", err)
	}
	r.explainCreation(ctx, observed.pods, time.Now())
	if observed.redisPods, err = podsOf(ctx, r.client, key, render.ComponentRedis); err != nil {
		return observed, fmt.Errorf("list the pods of the managed Redis: %w", err)
	}
	if observed.gateways, err = r.deploymentOf(ctx, cluster, render.GatewayName(cluster.Name)); err != nil {
		return observed, err
	}
	if observed.metricsOwner, err = r.scope.metricsOwner(ctx); err != nil {
		return observed, err
	}
	observed.otherAutoscalers, err = r.otherAutoscalers(ctx, cluster)
	return observed, err
}

// input returns what package render makes the desired objects from.
func (r *Reconciler) input(cluster *v1alpha1.WebSocketCluster, observed observedState) render.Input {
	return render.Input{
		Name:              cluster.Name,
		Namespace:         cluster.Namespace,
		UID:               cluster.UID,
		Spec:              cluster.Spec,
		Images:            r.images,
		Operator:          r.operators.identity(),
		OperatorNamespace: r.namespace,
		Installed:         observed.installed,
		Profile:           observed.class.Profile,
		Front:             plan.Front(cluster.Spec, observed.gateways, observed.pods),
		Metrics: plan.MetricsSource(cluster.Spec.Autoscaling,
			observed.metricsOwner.Kind == metricsapi.OwnerForeign),
		Secrets:         observed.credentials.generated,
		CredentialsHash: observed.credentials.hash,
		RedisUpgrade:    cluster.Annotations[v1alpha1.AnnotationUpgradeRedis],
	}
}

// render returns the desired objects in the order in which they are written. It returns the error of render.Objects.
func (r *Reconciler) render(input render.Input) ([]render.Object, error) {
	defer r.metrics.startPhase(phaseRender)()
	return render.Objects(input) //nolint:wrapcheck // the caller wraps it
}

// apply writes the objects that differ and deletes those that the spec no longer asks for. It writes nothing for a
// paused cluster. It returns an error when the reconcile has to start over.
func (r *Reconciler) apply(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, objects []render.Object, observed observedState,
) (*applyResult, error) {
	defer r.metrics.startPhase(phaseApply)()
	known := slices.Concat(observed.problems, patchProblems(objects))
	if cluster.Spec.Paused {
		// A rollout that the operator holds stands still until the cluster is no longer paused.
		rolls := observed.gatewaysRoll() && !render.RolloutHeld(observed.gateways)
		r.upgrades.end(client.ObjectKeyFromObject(cluster), rolls)
		existing, err := r.applier.listOwned(ctx, cluster, objects)
		return &applyResult{owned: existing.owned, known: known}, err
	}
	objects, held, err := r.holdBack(ctx, cluster, objects, observed, blockGateways(known))
	if err != nil {
		return nil, err
	}
	result, err := r.applier.apply(ctx, cluster, observed.credentials.pinned(objects), known)
	if err != nil {
		return nil, err
	}
	result.release = held
	gateways := render.DeploymentRef(render.GatewayName(cluster.Name))
	keepRedis := plan.KeepManagedRedis(plan.GatewayRollout{
		Held:        result.gatewaysHeld(),
		JustApplied: result.wrote(gateways),
		Deployment:  ownedAs[*appsv1.Deployment](result, gateways),
		Pods:        observed.pods,
	})
	// A volume that a Redis of the spec no longer needs carries no messages.
	keepRedis = keepRedis && cluster.Spec.Redis.Managed == nil
	keep := func(object render.Object) bool { return keepRedis && object.IsManagedRedis(cluster.Name) }
	deleted, err := r.applier.deleteUnwanted(ctx, cluster, objects, result.owned, keep)
	if err != nil {
		return nil, err
	}
	result.objects = append(result.objects, deleted...)
	return result, nil
}

// updateStatus writes the status if it differs from the stored one, and records events about new problems. A status
// that comes too soon after the one before is not written. updateStatus returns after which time the status has to be
// made again, or 0 for never, and an error when the write fails.
func (r *Reconciler) updateStatus(
	ctx context.Context, stored, cluster *v1alpha1.WebSocketCluster, input render.Input, result *applyResult,
	observed observedState,
) (recheck time.Duration, err error) {
	defer r.metrics.startPhase(phaseStatus)()
	observation := r.statusObservation(ctx, cluster, input, result, observed)
	computed := status.Compute(observation)
	recheck = status.MetricsRecheck(observation)
	r.metrics.fleets.set(client.ObjectKeyFromObject(cluster), computed.Conditions)
	if apiequality.Semantic.DeepEqual(stored.Status, computed) {
		return recheck, nil
	}
	if delay := r.pace.delay(stored); delay > 0 {
		return soonest([]time.Duration{delay, recheck}), nil
	}
	written := stored.DeepCopy()
	written.Status = computed
	if err := r.client.Status().Update(ctx, written, client.FieldOwner(render.FieldOwner)); err != nil {
		return recheck, fmt.Errorf("write the status: %w", err)
	}
	r.pace.wrote(stored)
	r.recordRedisRestart(stored, cluster, computed)
	for _, warning := range status.Warnings(stored.Status.Conditions, computed.Conditions) {
		log.FromContext(ctx).Info("The cluster has a problem that its user has to solve",
			"condition", warning.Type, "reason", warning.Reason, "message", warning.Message)
		r.events.warn(stored, warning.Reason, warning.Type, warning.Message)
	}
	return recheck, nil
}

// recordRedisRestart records that the managed Redis was started again.
func (r *Reconciler) recordRedisRestart(
	stored, cluster *v1alpha1.WebSocketCluster, computed v1alpha1.WebSocketClusterStatus,
) {
	message, lost := status.RedisRestart(stored.Status, computed, cluster.Spec.Redis)
	switch {
	case message == "":
	case lost:
		r.events.warn(stored, v1alpha1.ReasonRedisRestarted, v1alpha1.ConditionBackplaneReady, message)
	default:
		r.events.changed(stored, nil, v1alpha1.ReasonRedisRestarted, v1alpha1.ConditionBackplaneReady, message)
	}
}

// statusObservation collects what the status is made from. It asks the gateways of a fleet that was not scraped yet,
// which comes after the objects are applied: they must not wait for it.
func (r *Reconciler) statusObservation(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, input render.Input, result *applyResult,
	observed observedState,
) status.Observation {
	gateway, redis := render.GatewayName(cluster.Name), render.RedisName(cluster.Name)
	observation := status.Observation{
		Cluster:   cluster,
		Problems:  result.problems(),
		Image:     input.GatewayImage(),
		Gateways:  ownedAs[*appsv1.Deployment](result, render.DeploymentRef(gateway)),
		Redis:     ownedAs[*appsv1.Deployment](result, render.DeploymentRef(redis)),
		Service:   ownedAs[*corev1.Service](result, render.ServiceRef(gateway)),
		Ingress:   ownedAs[*networkingv1.Ingress](result, render.IngressRef(gateway)),
		Route:     ownedAs[*unstructured.Unstructured](result, render.HTTPRouteRef(gateway)),
		Installed: observed.installed,
		Listeners: observed.listeners,
		Pods:      observed.pods,
		Fleet:     r.snapshotOrScrape(ctx, client.ObjectKeyFromObject(cluster)),
		Class:     observed.class,
		Selector:  render.ServingSelector(cluster.Name),
		Now:       time.Now(),

		Autoscaler: ownedAs[*autoscalingv2.HorizontalPodAutoscaler](result, render.AutoscalerRef(gateway)),
		Metrics:    input.Metrics,

		OtherAutoscalers: observed.otherAutoscalers,
		RedisPods:        observed.redisPods,
		DeletionDeadline: observed.deletionDeadline,
		ScaleInWaits:     observed.next.scaleIn.Waits,
		RebalanceWaits:   observed.next.rebalance.Waits,
		RolloutWaits:     observed.next.hold.Why,
		RolloutRefused:   observed.next.hold.Refused != "",
		EvictionsWait:    observed.next.evictionsWait != "",
		RolloutLeft:      time.Duration(observed.next.rolloutSecondsLeft) * time.Second,
		UpgradeWaits:     result.release.waits,
		UpgradesBefore:   result.release.before,
		RedisKept:        result.release.keepsRedis,
	}
	if observed.metricsOwner.Kind != metricsapi.OwnerNone {
		observation.MetricsOwner = observed.metricsOwner.String()
	}
	if observed.metricsOwner.Kind == metricsapi.OwnerBuiltIn && observation.AutoscalerFails() {
		observation.MetricsAPI, observation.MetricsAPIPods = r.metricsAPI(ctx, observed.metricsOwner)
	}
	return observation
}

// snapshotOrScrape returns the snapshot that the fleet's status is made from. It scrapes a fleet that the monitor has
// not scraped yet: an operator that has just started must not report a running fleet as one without clients.
func (r *Reconciler) snapshotOrScrape(ctx context.Context, cluster client.ObjectKey) fleet.Snapshot {
	if snapshot, known := r.fleet.StatusSnapshot(cluster); known {
		return snapshot
	}
	return r.fleet.ScrapeNow(ctx, cluster)
}

// requeueAfter returns when to look again at what cannot be watched, or 0 for never.
func (r *Reconciler) requeueAfter(
	cluster *v1alpha1.WebSocketCluster, result *applyResult, observed observedState,
) time.Duration {
	after := []time.Duration{
		r.applier.contention.recheckAfter(client.ObjectKeyFromObject(cluster)),
		status.RecheckAfter(observed.pods, time.Now()),
	}
	if result.anyBlocked() {
		after = append(after, r.recheck)
	}
	if result.release.waits {
		after = append(after, upgradeRecheck)
	}
	return soonest(after)
}

// soonest returns the shortest of the durations that are not 0, or 0 when all are.
func soonest(all []time.Duration) time.Duration {
	all = slices.DeleteFunc(all, func(one time.Duration) bool { return one == 0 })
	if len(all) == 0 {
		return 0
	}
	return slices.Min(all)
}
