package controllers

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

// Reconciler makes one WebSocketCluster real at a time.
type Reconciler struct {
	client  client.Client
	secrets *secretReader
	writer  *writer
	metrics *metricsAPI
	fleet   *fleet.Monitor
	teller  *teller
	images  render.Images
	recheck time.Duration
}

// observation is what a pass knows of the cluster before it writes.
type observation struct {
	credentials credentials
	class       status.IngressClass
	pods        []corev1.Pod
}

// Reconcile observes, writes what differs, and says in the status what came of it. Deletion needs
// nothing: owner references take the objects along.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var stored v1alpha1.WebSocketCluster
	if err := r.client.Get(ctx, request.NamespacedName, &stored); err != nil {
		if apierrors.IsNotFound(err) {
			r.forgetSecrets(request.NamespacedName)
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, err
	}
	if stored.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	cluster := stored.DeepCopy()
	cluster.Spec.SetDefaults()

	seen, err := r.observe(ctx, cluster)
	if err != nil {
		return reconcile.Result{}, err
	}
	input := r.input(cluster, seen)
	objects, err := render.Objects(input)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("render: %w", err)
	}
	result, err := r.act(ctx, cluster, objects, seen)
	if err != nil {
		return reconcile.Result{}, err
	}
	if err := r.report(ctx, &stored, cluster, input, result, seen); err != nil {
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			log.FromContext(ctx).V(1).Info("The cluster has changed meanwhile; looking again", "reason", err.Error())
			return reconcile.Result{RequeueAfter: time.Second}, nil
		}
		return reconcile.Result{}, err
	}
	if result.retry != nil {
		return reconcile.Result{}, result.retry
	}
	return reconcile.Result{RequeueAfter: r.lookAgain(cluster, result)}, nil
}

func (r *Reconciler) observe(ctx context.Context, cluster *v1alpha1.WebSocketCluster) (observation, error) {
	var (
		seen observation
		err  error
	)
	if seen.credentials, err = r.credentials(ctx, cluster); err != nil {
		return seen, err
	}
	if seen.class, err = r.ingressClass(ctx, cluster.Spec.Ingress); err != nil {
		return seen, err
	}
	if seen.pods, err = gatewayPods(ctx, r.client, client.ObjectKeyFromObject(cluster)); err != nil {
		return seen, fmt.Errorf("list gateway pods: %w", err)
	}
	return seen, nil
}

func (r *Reconciler) input(cluster *v1alpha1.WebSocketCluster, seen observation) render.Input {
	return render.Input{
		Name:            cluster.Name,
		Namespace:       cluster.Namespace,
		UID:             cluster.UID,
		Spec:            cluster.Spec,
		Images:          r.images,
		Profile:         seen.class.Profile,
		Secrets:         seen.credentials.generated,
		CredentialsHash: seen.credentials.hash,
	}
}

// act writes what differs and deletes what the spec has switched off, unless the cluster is paused.
func (r *Reconciler) act(ctx context.Context, cluster *v1alpha1.WebSocketCluster, objects []render.Object, seen observation) (*outcome, error) {
	if cluster.Spec.Paused {
		return r.writer.look(ctx, cluster, objects, seen.credentials.problems)
	}
	result, err := r.writer.write(ctx, cluster, objects, seen.credentials.problems)
	if err != nil {
		return nil, err
	}
	gateways := render.DeploymentRef(render.GatewayName(cluster.Name))
	keepRedis := mayNeedManagedRedis(result.gatewaysHeld(), result.wrote[gateways], found[*appsv1.Deployment](result, gateways), seen.pods)
	keep := func(object render.Object) bool { return keepRedis && object.IsManagedRedis(cluster.Name) }
	return result, r.writer.remove(ctx, cluster, objects, result, keep)
}

// report writes the status if it says something new, and events of what the user should look at.
func (r *Reconciler) report(ctx context.Context, stored, cluster *v1alpha1.WebSocketCluster, input render.Input, result *outcome, seen observation) error {
	decided := status.Compute(r.facts(ctx, cluster, input, result, seen))
	if apiequality.Semantic.DeepEqual(stored.Status, decided) {
		return nil
	}
	written := stored.DeepCopy()
	written.Status = decided
	if err := r.client.Status().Update(ctx, written, client.FieldOwner(render.FieldOwner)); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	for _, warning := range status.Warnings(stored.Status.Conditions, decided.Conditions) {
		log.FromContext(ctx).Info("The cluster needs its user", "condition", warning.Type, "reason", warning.Reason, "message", warning.Message)
		r.teller.warn(stored, warning.Reason, warning.Type, warning.Message)
	}
	return nil
}

func (r *Reconciler) facts(ctx context.Context, cluster *v1alpha1.WebSocketCluster, input render.Input, result *outcome, seen observation) status.Observation {
	gateway, redis := render.GatewayName(cluster.Name), render.RedisName(cluster.Name)
	facts := status.Observation{
		Cluster:  cluster,
		Problems: result.problems,
		Image:    input.GatewayImage(),
		Gateways: found[*appsv1.Deployment](result, render.DeploymentRef(gateway)),
		Redis:    found[*appsv1.Deployment](result, render.DeploymentRef(redis)),
		Service:  found[*corev1.Service](result, render.ServiceRef(gateway)),
		Ingress:  found[*networkingv1.Ingress](result, render.IngressRef(gateway)),
		Pods:     seen.pods,
		Fleet:    r.fleet.Shown(ctx, client.ObjectKeyFromObject(cluster)),
		Class:    seen.class,
		Selector: labels.SelectorFromSet(render.SelectorLabels(cluster.Name, render.ComponentGateway)).String(),
		Now:      time.Now(),
	}
	if cluster.Spec.Autoscaling != nil {
		facts.MetricsServed = r.metrics.isServed(ctx)
	}
	return facts
}

// lookAgain is when to look at what cannot be watched; 0 is never.
func (r *Reconciler) lookAgain(cluster *v1alpha1.WebSocketCluster, result *outcome) time.Duration {
	if len(result.blocked) > 0 {
		return r.recheck
	}
	if cluster.Spec.Autoscaling != nil {
		return metricsRecheck
	}
	return 0
}

// found is the operator's own object of a type, or nil.
func found[T client.Object](result *outcome, ref render.Ref) T {
	object, _ := result.found[ref].(T)
	return object
}
