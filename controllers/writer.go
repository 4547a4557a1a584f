package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

// writer makes the API server's objects what render asks for, and touches no others.
type writer struct {
	client client.Client
	live   client.Reader
	teller *teller
	drift  *driftDetector
}

// outcome is what came of writing a fleet's objects.
type outcome struct {
	problems []status.Problem
	// found are the operator's own objects, as they were before this pass.
	found map[render.Ref]client.Object
	// wrote are the objects that this pass changed: what was found of them is out of date.
	wrote map[render.Ref]bool
	// blocked are objects that are not the operator's, or that the API server refused.
	blocked map[render.Ref]bool
	// retry is what another try may cure; the user is told, and the rest is written all the same.
	retry error
}

func (o *outcome) gatewaysHeld() bool {
	for _, problem := range o.problems {
		if problem.BlocksGateways {
			return true
		}
	}
	return false
}

// look finds the operator's own objects without writing anything.
func (w *writer) look(ctx context.Context, cluster *v1alpha1.WebSocketCluster, objects []render.Object, problems []status.Problem) (*outcome, error) {
	result := newOutcome(problems)
	for _, object := range objects {
		found, err := w.find(ctx, cluster, object)
		if err != nil {
			return nil, err
		}
		if found != nil && isOurs(found, cluster) {
			result.found[object.Ref] = found
		}
	}
	return result, nil
}

func newOutcome(problems []status.Problem) *outcome {
	return &outcome{
		problems: problems,
		found:    map[render.Ref]client.Object{},
		wrote:    map[render.Ref]bool{},
		blocked:  map[render.Ref]bool{},
	}
}

// write applies what differs. Known problems come in, new ones go out with the outcome; an error is
// something that another try may cure.
func (w *writer) write(ctx context.Context, cluster *v1alpha1.WebSocketCluster, objects []render.Object, problems []status.Problem) (*outcome, error) {
	result := newOutcome(problems)
	gatewayParts := partsOfGateways(objects)
	for _, object := range objects {
		found, err := w.find(ctx, cluster, object)
		if err != nil {
			return nil, err
		}
		if found != nil && !isOurs(found, cluster) {
			if object.Desired != nil {
				result.blocked[object.Ref] = true
				result.problems = append(result.problems, foreignObject(object.Ref, found, cluster, gatewayParts[object.Ref]))
			}
			continue
		}
		if found != nil {
			result.found[object.Ref] = found
		}
		if object.Desired == nil || result.holds(object) || found != nil && found.GetDeletionTimestamp() != nil {
			continue
		}
		if err := w.rehearse(ctx, cluster, objects, object, result); err != nil {
			return nil, err
		}
		if result.holds(object) {
			continue
		}
		problem, err := w.apply(ctx, cluster, object, found, result)
		if err != nil {
			return nil, err
		}
		if problem != nil {
			problem.BlocksGateways = gatewayParts[object.Ref]
			result.blocked[object.Ref] = true
			result.problems = append(result.problems, *problem)
		}
	}
	return result, nil
}

// holds says whether an object must wait: what it needs is not there, or the gateways stay as they are.
func (o *outcome) holds(object render.Object) bool {
	if object.IsGateway() && o.gatewaysHeld() {
		return true
	}
	for _, need := range object.Needs {
		if o.blocked[need] {
			return true
		}
	}
	return false
}

// partsOfGateways are the gateways' Deployment and all that it needs.
func partsOfGateways(objects []render.Object) map[render.Ref]bool {
	parts := map[render.Ref]bool{}
	for _, object := range objects {
		if object.IsGateway() {
			parts[object.Ref] = true
			for _, need := range object.Needs {
				parts[need] = true
			}
		}
	}
	return parts
}

// find is the object as the cache has it. Where the cache has none although there shall be one, the
// API server is asked: the object may be somebody else's, without the label that the cache goes by.
func (w *writer) find(ctx context.Context, cluster *v1alpha1.WebSocketCluster, object render.Object) (client.Object, error) {
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: object.Name}
	cached := cachedObject(object.Ref)
	err := w.client.Get(ctx, key, cached)
	if err == nil {
		return cached, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("look up %s: %w", object, err)
	}
	if object.Desired == nil {
		return nil, nil
	}
	live := metadataOf(object.Ref)
	if err := w.live.Get(ctx, key, live); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("look up %s: %w", object, err)
	}
	return live, nil
}

// cachedObject is whole for the kinds whose status matters, and metadata for the others.
func cachedObject(ref render.Ref) client.Object {
	switch ref.Kind.GroupKind() {
	case appsv1.SchemeGroupVersion.WithKind("Deployment").GroupKind():
		return &appsv1.Deployment{}
	case corev1.SchemeGroupVersion.WithKind("Service").GroupKind():
		return &corev1.Service{}
	case networkingv1.SchemeGroupVersion.WithKind("Ingress").GroupKind():
		return &networkingv1.Ingress{}
	default:
		return metadataOf(ref)
	}
}

func metadataOf(ref render.Ref) *metav1.PartialObjectMetadata {
	meta := &metav1.PartialObjectMetadata{}
	meta.SetGroupVersionKind(ref.Kind)
	return meta
}

// apply writes the object if it differs. A refusal that another try would not cure is a problem for
// the user, not an error.
func (w *writer) apply(ctx context.Context, cluster *v1alpha1.WebSocketCluster, object render.Object, found client.Object, result *outcome) (*status.Problem, error) {
	why := ""
	if found != nil {
		var err error
		if why, err = w.drift.differs(object.Desired, found); err != nil {
			return nil, err
		}
		if why == "" {
			return nil, nil
		}
	}
	err := w.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(onlyIfStill(object.Desired, found)),
		client.FieldOwner(render.FieldOwner), client.ForceOwnership)
	switch {
	case err == nil:
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		// The cluster goes with its namespace; its user has nothing to solve.
		return nil, nil
	case refused(err):
		return refusal(object, err), nil
	case apierrors.IsConflict(err), isAnother(err):
		return nil, fmt.Errorf("apply %s, which has changed meanwhile: %w", object, err)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("apply %s: %w", object, err)
	default:
		result.retry = errors.Join(result.retry, fmt.Errorf("apply %s: %w", object, err))
		return &status.Problem{
			Reason:  v1alpha1.ReasonApplyRefused,
			Message: "Kubernetes cannot take the " + object.String() + " for now, the operator tries again: " + shorten(err.Error()),
		}, nil
	}
	result.wrote[object.Ref] = true
	w.tellApplied(ctx, cluster, object, why)
	return nil, nil
}

// rehearse asks whether the API server would take the gateways' Deployment before their configuration
// changes. If it refuses, both stay: a gateway that restarts must not find a file of a version that
// never came to be.
func (w *writer) rehearse(ctx context.Context, cluster *v1alpha1.WebSocketCluster, objects []render.Object, configuration render.Object, result *outcome) error {
	before := result.found[configuration.Ref]
	if !configuration.IsConfiguration() || before == nil {
		return nil
	}
	if why, err := w.drift.differs(configuration.Desired, before); err != nil || why == "" {
		return err
	}
	gateways := render.DeploymentRef(render.GatewayName(cluster.Name))
	at := slices.IndexFunc(objects, func(object render.Object) bool { return object.Ref == gateways })
	running, err := w.find(ctx, cluster, objects[at])
	if err != nil || running == nil || !isOurs(running, cluster) {
		return err
	}
	err = w.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(onlyIfStill(objects[at].Desired, running)),
		client.FieldOwner(render.FieldOwner), client.ForceOwnership, client.DryRunAll)
	// Anything else, such as a webhook that cannot do without effects, is for the real apply to meet.
	if apierrors.IsInvalid(err) && !isAnother(err) || apierrors.IsForbidden(err) {
		problem := refusal(objects[at], err)
		problem.BlocksGateways = true
		result.blocked[gateways] = true
		result.problems = append(result.problems, *problem)
	}
	return nil
}

func refusal(object render.Object, err error) *status.Problem {
	return &status.Problem{
		Reason:  v1alpha1.ReasonApplyRefused,
		Message: "Kubernetes refuses the " + object.String() + ": " + shorten(err.Error()),
	}
}

// tellApplied says what was done and why; nothing is to be said of an object that was not there.
func (w *writer) tellApplied(ctx context.Context, cluster *v1alpha1.WebSocketCluster, object render.Object, why string) {
	note := "Updated " + object.String() + ": " + why
	switch why {
	case "":
		note = "Created " + object.String()
		w.teller.changed(cluster, object.Desired, v1alpha1.ReasonCreated, actionCreate, note)
	case whyNewDesire:
		w.teller.changed(cluster, object.Desired, v1alpha1.ReasonUpdated, actionUpdate, note)
	default:
		w.teller.repaired(cluster, object.Desired, note)
	}
	log.FromContext(ctx).Info(note)
}

// refused is an answer that another try would not change.
func refused(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err)
}

// neverWritten is a resourceVersion that no object has: an apply with it creates, or conflicts.
const neverWritten = "1"

// onlyIfStill makes the API server refuse the fields when the object is no longer the one that was
// found: between the look and the write it may have become somebody else's.
func onlyIfStill(desired *unstructured.Unstructured, found client.Object) *unstructured.Unstructured {
	fields := desired.DeepCopy()
	if found == nil {
		fields.SetResourceVersion(neverWritten)
	} else {
		fields.SetUID(found.GetUID())
	}
	return fields
}

// isAnother says whether the API server refused the fields for the UID that they are meant for.
func isAnother(err error) bool {
	var refused apierrors.APIStatus
	if !errors.As(err, &refused) || refused.Status().Details == nil {
		return false
	}
	return slices.ContainsFunc(refused.Status().Details.Causes, func(cause metav1.StatusCause) bool { return cause.Field == "metadata.uid" })
}

// remove deletes what the spec has switched off, if it is the operator's own.
func (w *writer) remove(ctx context.Context, cluster *v1alpha1.WebSocketCluster, objects []render.Object, result *outcome, keep func(render.Object) bool) error {
	for _, object := range objects {
		found := result.found[object.Ref]
		if object.Desired != nil || found == nil || found.GetDeletionTimestamp() != nil || keep(object) {
			continue
		}
		uid := found.GetUID()
		err := w.client.Delete(ctx, found, client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationBackground))
		switch {
		case client.IgnoreNotFound(err) == nil:
		case ctx.Err() != nil, apierrors.IsConflict(err):
			return fmt.Errorf("delete %s: %w", object, err)
		default:
			result.retry = errors.Join(result.retry, fmt.Errorf("delete %s: %w", object, err))
			result.problems = append(result.problems, status.Problem{
				Reason:  v1alpha1.ReasonApplyRefused,
				Message: "Kubernetes does not delete the " + object.String() + ", the operator tries again: " + shorten(err.Error()),
			})
			continue
		}
		note := "Deleted " + object.String() + ": the spec no longer asks for it"
		log.FromContext(ctx).Info(note)
		w.teller.changed(cluster, found, v1alpha1.ReasonDeleted, actionDelete, note)
	}
	return nil
}

func foreignObject(ref render.Ref, found metav1.Object, cluster *v1alpha1.WebSocketCluster, blocksGateways bool) status.Problem {
	message := "there is a %s that does not belong to this WebSocketCluster and is left alone: " +
		"remove it, or give the WebSocketCluster another metadata.name"
	if owner := metav1.GetControllerOf(found); owner != nil && owner.Kind == v1alpha1.KindWebSocketCluster && owner.Name == cluster.Name {
		message = "there still is the %s of an earlier WebSocketCluster of this name: wait until Kubernetes has removed it"
	}
	return status.Problem{
		Reason:         v1alpha1.ReasonForeignObject,
		Message:        fmt.Sprintf(message, ref),
		BlocksGateways: blocksGateways,
	}
}
