package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/controllers/render"
)

const (
	// upgradeRecheck is how soon a fleet that waits for its turn looks again.
	upgradeRecheck = time.Minute
	// lostAfter is how long after the end of its grace period a terminating pod is waited for.
	lostAfter = 30 * time.Second
	// upgradeStart is how long a fleet may have its turn without its Deployment being changed: a webhook may refuse it, or
	// the fleet cannot be reconciled.
	upgradeStart = time.Minute
)

// upgrades lets fleets that only the operator's release changes take turns. Its state is in memory: each fleet asks for
// its turn again after a restart, and rollouts that are under way then keep their turn. Its methods may be called by
// several goroutines at once.
type upgrades struct {
	budget int
	now    func() time.Time
	// granted receives the fleets whose turn has come.
	granted chan event.GenericEvent

	// mu guards the fields below.
	mu     sync.Mutex
	seeded bool
	fleets map[client.ObjectKey]*turn
}

// turn is what is known of a fleet that has its turn or waits for it.
type turn struct {
	plan.Upgrade
	// begun reports whether the fleet's gateways were seen to be replaced.
	begun bool
}

func newUpgrades(budget int) *upgrades {
	return &upgrades{
		budget:  budget,
		now:     time.Now,
		granted: make(chan event.GenericEvent, 1024),
		fleets:  map[client.ObjectKey]*turn{},
	}
}

// seed notes the rollouts that are under way when the operator starts. It returns an error when the cache cannot be
// read.
func (u *upgrades) seed(ctx context.Context, reader client.Reader) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.seeded {
		return nil
	}
	var all appsv1.DeploymentList
	if err := reader.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list the Deployments: %w", err)
	}
	for i := range all.Items {
		one := &all.Items[i]
		owner := metav1.GetControllerOf(one)
		if owner == nil || owner.Kind != v1alpha1.KindWebSocketCluster || one.Name != render.GatewayName(owner.Name) {
			continue
		}
		key := client.ObjectKey{Namespace: one.Namespace, Name: owner.Name}
		pods, err := podsOf(ctx, reader, key, render.ComponentGateway)
		if err != nil {
			return fmt.Errorf("list gateway pods: %w", err)
		}
		if plan.RolloutUnderway(one, pods, lostBefore(u.now())) {
			u.fleets[key] = &turn{
				Upgrade: plan.Upgrade{Fleet: key, Since: metav1.Time{Time: u.now()}, Rolling: true},
				begun:   true,
			}
		}
	}
	u.seeded = true
	return nil
}

// ask asks for the turn of a fleet that differs from the release. The result is false while it has to wait, and the
// number of fleets before it.
func (u *upgrades) ask(fleet client.ObjectKey) (mayRoll bool, before int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	own := u.fleets[fleet]
	if own == nil {
		own = &turn{Upgrade: plan.Upgrade{Fleet: fleet, Since: metav1.Time{Time: u.now()}}}
		u.fleets[fleet] = own
	}
	u.grant(fleet)
	return own.Rolling, plan.UpgradesBefore(u.all(), fleet)
}

// end ends the turn of a fleet that is as the release wants it, or that is not upgraded, unless its gateways are still
// being replaced.
func (u *upgrades) end(fleet client.ObjectKey, underway bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	own := u.fleets[fleet]
	switch {
	case own == nil:
	case own.Rolling && underway:
		own.begun = true
	default:
		delete(u.fleets, fleet)
		u.grant(client.ObjectKey{})
	}
}

// grant gives free turns to the fleets that have waited longest, and enqueues them, except asking, which is being
// reconciled. A fleet that could not begin in its turn waits again. The caller holds mu.
func (u *upgrades) grant(asking client.ObjectKey) {
	for _, one := range u.fleets {
		if one.Rolling && !one.begun && u.now().Sub(one.Since.Time) >= upgradeStart {
			one.Rolling, one.Since = false, metav1.Time{Time: u.now()}
		}
	}
	for _, next := range plan.NextUpgrades(u.all(), u.budget) {
		u.fleets[next].Rolling, u.fleets[next].Since = true, metav1.Time{Time: u.now()}
		if next == asking {
			continue
		}
		cluster := &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{Namespace: next.Namespace, Name: next.Name}}
		select {
		case u.granted <- event.GenericEvent{Object: cluster}:
		default:
			// The fleet looks again by itself after upgradeRecheck.
		}
	}
}

// all returns the fleets that roll or wait. The caller holds mu.
func (u *upgrades) all() []plan.Upgrade {
	all := make([]plan.Upgrade, 0, len(u.fleets))
	for _, one := range u.fleets {
		all = append(all, one.Upgrade)
	}
	return all
}

// release is what a reconcile holds back of the operator's release.
type release struct {
	// waits reports whether the gateways keep their version until it is the fleet's turn. before is the number of fleets
	// before it.
	waits  bool
	before int
	// keepsRedis reports whether the managed Redis keeps the version of an earlier release.
	keepsRedis bool
}

// holdBack replaces the objects that must not follow the operator's release yet. gatewaysHeld is whether a problem
// keeps the gateways as they are. holdBack returns an error when the cache cannot be read, or an object cannot be
// understood.
func (r *Reconciler) holdBack(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, objects []render.Object, observed observedState,
	gatewaysHeld bool,
) ([]render.Object, release, error) {
	var held release
	if err := r.upgrades.seed(ctx, r.client); err != nil {
		return nil, held, err
	}
	redis, err := r.deploymentOf(ctx, cluster, render.RedisName(cluster.Name))
	if err != nil {
		return nil, held, err
	}
	held.waits, held.before = r.mustWait(cluster, objects, observed, gatewaysHeld)
	held.keepsRedis = redis != nil && onlyReleaseDiffers(objects, redis)
	kept := make([]render.Object, 0, len(objects))
	for _, object := range objects {
		var live *appsv1.Deployment
		switch {
		case object.IsGateway() && held.waits:
			live = observed.gateways
		case object.IsManagedRedis(cluster.Name) && startsPods(object) && held.keepsRedis:
			live = redis
		}
		if live != nil {
			object, err = r.keepRunning(ctx, cluster, object, live)
		}
		if err != nil {
			return nil, held, err
		}
		if object.Ref != (render.Ref{}) {
			kept = append(kept, object)
		}
	}
	return kept, held, nil
}

// startsPods reports whether pods of the managed Redis start from the object.
func startsPods(object render.Object) bool {
	return object.Kind.Kind == "Deployment" || object.Kind.Kind == kindSecret
}

// mustWait reports whether the gateways must keep the version that they run, and the number of fleets before this one.
func (r *Reconciler) mustWait(
	cluster *v1alpha1.WebSocketCluster, objects []render.Object, observed observedState, gatewaysHeld bool,
) (bool, int) {
	key, live := client.ObjectKeyFromObject(cluster), observed.gateways
	switch {
	case live == nil:
		r.upgrades.end(key, false)
		return false, 0
	case !onlyReleaseDiffers(objects, live):
		r.upgrades.end(key, observed.gatewaysRoll())
		return false, 0
	case len(observed.pods) == 0 && live.Status.Replicas == 0, gatewaysHeld:
		// There is nothing to replace, or nothing may be replaced.
		r.upgrades.end(key, false)
		return false, 0
	}
	mayRoll, before := r.upgrades.ask(key)
	return !mayRoll, before
}

// gatewaysRoll reports whether gateways are being replaced.
func (o observedState) gatewaysRoll() bool {
	return o.gateways != nil && plan.RolloutUnderway(o.gateways, o.pods, lostBefore(time.Now()))
}

// lostBefore returns the time before which the grace period of pods that are not waited for has ended.
func lostBefore(now time.Time) metav1.Time { return metav1.Time{Time: now.Add(-lostAfter)} }

// onlyReleaseDiffers reports whether only the operator's release changes the Deployment.
func onlyReleaseDiffers(objects []render.Object, live *appsv1.Deployment) bool {
	i := slices.IndexFunc(objects, func(one render.Object) bool { return one.Ref == render.DeploymentRef(live.Name) })
	return i >= 0 && objects[i].Desired != nil &&
		plan.DiffersByReleaseOnly(live.Annotations, objects[i].Desired.GetAnnotations())
}

// keepRunning returns the object in the form that the running pods started from: of a Deployment what the operator
// applied last, with the desired size, labels and annotations. Of another object that exists it returns the zero
// object: it is left as it is. keepRunning returns an error when the cache cannot be read, or the Deployment cannot be
// understood.
func (r *Reconciler) keepRunning(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, object render.Object, live *appsv1.Deployment,
) (render.Object, error) {
	if object.Ref != render.DeploymentRef(live.Name) {
		found, err := r.applier.find(ctx, cluster, object)
		if err != nil || found == nil {
			return object, err
		}
		return render.Object{}, nil
	}
	running, err := r.applier.drift.applied(live, object.Kind)
	if err != nil {
		return object, err
	}
	for _, field := range []string{"replicas", "paused", "minReadySeconds", "progressDeadlineSeconds"} {
		if err := copySpecField(running, object.Desired, field); err != nil {
			return object, fmt.Errorf("keep the version of %s: %w", object, err)
		}
	}
	keepMetadata(running, object.Desired)
	if err := render.Rehash(running); err != nil {
		return object, fmt.Errorf("hash the fields of %s: %w", object, err)
	}
	object.Desired = running
	return object, nil
}

// copySpecField gives an object the field of the spec that another one has, or removes it. It returns an error when one
// of the specs is no object.
func copySpecField(to, from *unstructured.Unstructured, field string) error {
	value, found, err := unstructured.NestedFieldCopy(from.Object, "spec", field)
	if err != nil {
		return err //nolint:wrapcheck // the caller wraps it
	}
	if !found {
		unstructured.RemoveNestedField(to.Object, "spec", field)
		return nil
	}
	return unstructured.SetNestedField(to.Object, value, "spec", field) //nolint:wrapcheck // the caller wraps it
}

// keepMetadata gives a Deployment that keeps its version the desired labels and annotations, which restart no pod. The
// annotations about its version stay. One that lacks the hash of what its user had asked for gets the desired one: from
// now on a change of the user shows.
func keepMetadata(running, desired *unstructured.Unstructured) {
	before, annotations := running.GetAnnotations(), desired.GetAnnotations()
	delete(annotations, render.AnnotationTemplate)
	for _, name := range []string{render.AnnotationTemplate, render.AnnotationAsked} {
		if value := before[name]; value != "" {
			annotations[name] = value
		}
	}
	running.SetLabels(desired.GetLabels())
	running.SetAnnotations(annotations)
}

// deploymentOf returns one of the fleet's Deployments, or nil when there is none or it is foreign. It returns an error
// when the cache cannot be read.
func (r *Reconciler) deploymentOf(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, name string,
) (*appsv1.Deployment, error) {
	deployment := &appsv1.Deployment{}
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: name}
	switch err := r.client.Get(ctx, key, deployment); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look up Deployment %s: %w", name, err)
	case !isOwned(deployment, cluster):
		return nil, nil
	default:
		return deployment, nil
	}
}
