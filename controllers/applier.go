package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

// applier makes the API server's objects match those of package render, and changes no others. It works in three steps:
// listOwned finds what exists, apply writes what differs, and deleteUnwanted follows after the caller has decided what
// to keep.
type applier struct {
	// client reads from the cache.
	client client.Client
	// live reads from the API server.
	live client.Reader
	// secrets takes the Secrets that were written.
	secrets *secretReader
	// newClusters tells for which clusters no object is looked up before it is created.
	newClusters *newClusters
	events      *dedupRecorder
	drift       *driftDetector
	contention  *contention
	kinds       *optionalKinds
	metrics     *operatorMetrics
}

// apply writes the objects that differ from what exists, in their order. known are the problems that were found before;
// the result has them too. A problem with one object does not keep apply from writing the others that do not need it.
//
// apply returns an error, and no result, when the reconcile has to start over: a lookup failed, ctx has ended, or an
// object changed after it was looked up.
func (a *applier) apply(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, objects []render.Object, known []status.Problem,
) (*applyResult, error) {
	existing, err := a.listOwned(ctx, cluster, objects)
	if err != nil {
		return nil, err
	}
	result := &applyResult{owned: existing.owned, known: known, gatewayParts: gatewayParts(objects)}
	defer func() {
		a.metrics.countObjects(result.objects)
		a.recordWritten(cluster, result.objects)
	}()
	defer a.newClusters.exclude(cluster)
	for _, object := range objects {
		live := existing.owned[object.Ref]
		switch foreign := existing.foreign[object.Ref]; {
		case object.Desired == nil:
			// deleteUnwanted's part.
		case foreign != nil:
			problem := foreignProblem(object.Ref, foreign, cluster)
			result.add(objectResult{object: object, outcome: outcomeForeign, problem: problem})
		case object.PatchProblem != "":
			// patchProblems has told it.
			result.add(objectResult{object: object, outcome: outcomeRefused})
		case result.mustWait(object), live != nil && live.GetDeletionTimestamp() != nil:
			// A later reconcile writes it.
		default:
			one, err := a.applyObject(ctx, cluster, object, live)
			if err != nil {
				return nil, err
			}
			result.add(one)
		}
	}
	result.contested = a.contention.problems(client.ObjectKeyFromObject(cluster))
	return result, nil
}

// applyObject writes the object if it differs from live, which is nil when the object does not exist. It returns an
// error when the reconcile has to start over: the object is not live any more, or ctx has ended.
func (a *applier) applyObject(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, object render.Object, live client.Object,
) (objectResult, error) {
	result := objectResult{object: object}
	difference, err := a.drift.compare(object.Desired, live)
	if err != nil {
		return result, err
	}
	if difference.outcome == "" {
		result.problem = shortenedGracePeriod(object, live)
		return result, nil
	}
	key := client.ObjectKeyFromObject(cluster)
	if difference.outcome == outcomeRepaired && !a.contention.mayRepair(key, object.Ref) {
		result.outcome = outcomeContested
		return result, nil
	}
	written, err := a.serverSideApply(ctx, object, live)
	switch {
	case err == nil:
		if difference.outcome == outcomeRepaired {
			a.contention.noteRepair(key, object.Ref, difference.by)
		}
		result.outcome, result.change = difference.outcome, difference
		log.FromContext(ctx).Info(result.note())
		result.answer = a.takeWritten(written)
		return result, nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		// The cluster is deleted with its namespace. There is nothing for its user to solve.
	case isRefusal(err):
		result.outcome, result.problem = outcomeRefused, refusalProblem(object, err)
	case apierrors.IsConflict(err) && a.newClusters.has(cluster):
		a.newClusters.exclude(cluster)
		return result, fmt.Errorf("create %s: %w: %w", object, errNotNew, err)
	case apierrors.IsNotFound(err):
		return result, fmt.Errorf("apply %s, whose kind or namespace is gone: %w", object, err)
	case apierrors.IsConflict(err), isUIDConflict(err):
		return result, fmt.Errorf("apply %s, which has changed meanwhile: %w", object, err)
	case ctx.Err() != nil:
		return result, fmt.Errorf("apply %s: %w", object, err)
	default:
		result.outcome, result.retry = outcomeFailed, fmt.Errorf("apply %s: %w", object, err)
		result.problem = failureProblem("cannot take the "+object.String()+" for now", err)
		result.problem.Message += patchHint(object)
	}
	return result, nil
}

// serverSideApply sends the object's fields on the condition that live is still what exists. It returns the object as
// the API server has it then, of the type that the cache has, but a Secret with its values. The client asks for
// protobuf where a type has it, and for no more than the metadata where the type is that. serverSideApply returns the
// API server's error.
func (a *applier) serverSideApply(
	ctx context.Context, object render.Object, live client.Object,
) (client.Object, error) {
	fields := withPreconditions(object, live)
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", object, err)
	}
	written := cachedObject(object.Ref)
	if object.Kind.Kind == kindSecret {
		written = &corev1.Secret{}
	}
	written.SetNamespace(fields.GetNamespace())
	written.SetName(object.Name)
	//nolint:wrapcheck // the callers tell the API server's errors apart
	return written, a.client.Patch(ctx, written, client.RawPatch(types.ApplyPatchType, data),
		client.FieldOwner(render.FieldOwner), client.ForceOwnership)
}

// takeWritten returns what the API server has answered in the form that the cache would have, so that the status of
// this reconcile is that of the written object.
func (a *applier) takeWritten(written client.Object) client.Object {
	secret, isSecret := written.(*corev1.Secret)
	if !isSecret {
		return written
	}
	a.secrets.keepWritten(secret)
	meta := secretMetadata()
	meta.ObjectMeta = secret.ObjectMeta
	return meta
}

// createOnlyVersion is a resourceVersion that no object has. An apply with it creates the object, or fails with a
// conflict when the object exists.
const createOnlyVersion = "1"

// withPreconditions returns the object's fields with preconditions: the API server refuses them when the object is no
// longer live, has another version than the fields need, or exists although live is nil. Another client may have
// replaced or changed the object since it was looked up.
func withPreconditions(object render.Object, live client.Object) *unstructured.Unstructured {
	fields := object.Desired.DeepCopy()
	if live == nil {
		fields.SetResourceVersion(createOnlyVersion)
	} else {
		fields.SetUID(live.GetUID())
		fields.SetResourceVersion(object.Version)
	}
	return fields
}

// isUIDConflict reports whether the API server refused the fields because the object has another UID.
func isUIDConflict(err error) bool {
	var refused apierrors.APIStatus
	if !errors.As(err, &refused) || refused.Status().Details == nil {
		return false
	}
	return slices.ContainsFunc(refused.Status().Details.Causes, func(cause metav1.StatusCause) bool {
		return cause.Field == "metadata.uid"
	})
}

// isRefusal reports whether the API server would give the same answer to another attempt.
func isRefusal(err error) bool {
	return !isUIDConflict(err) && (apierrors.IsInvalid(err) || apierrors.IsForbidden(err) ||
		apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err))
}

// note returns what was done to a written object, for the log and for an event.
func (r objectResult) note() string {
	if r.outcome == outcomeCreated {
		return "Created " + r.object.String()
	}
	return "Updated " + r.object.String() + ": " + r.change.reason
}

// recordWritten records the writes as events. Objects that were created together share one.
func (a *applier) recordWritten(cluster *v1alpha1.WebSocketCluster, results []objectResult) {
	var created []objectResult
	for _, one := range results {
		switch {
		case !one.written():
		case one.outcome == outcomeCreated:
			created = append(created, one)
		case one.change.by == offence{}:
			a.events.changed(cluster, one.object.Desired, v1alpha1.ReasonUpdated, actionUpdate, one.note())
		default:
			a.events.repaired(cluster, one.object.Desired, one.note())
		}
	}
	switch len(created) {
	case 0:
	case 1:
		a.events.changed(cluster, created[0].object.Desired, v1alpha1.ReasonCreated, actionCreate, created[0].note())
	default:
		names := make([]string, 0, len(created))
		for _, one := range created {
			names = append(names, one.object.String())
		}
		note := fmt.Sprintf("Created %d objects: %s", len(created), strings.Join(names, ", "))
		a.events.changed(cluster, nil, v1alpha1.ReasonCreated, actionCreate, note)
	}
}

// deleteUnwanted deletes the operator's own objects that the spec no longer asks for, except those that keep returns
// true for. It returns an error when the reconcile has to start over: an object changed after it was looked up, or ctx
// has ended.
func (a *applier) deleteUnwanted(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, objects []render.Object,
	owned map[render.Ref]client.Object, keep func(render.Object) bool,
) ([]objectResult, error) {
	var results []objectResult
	defer func() { a.metrics.countObjects(results) }()
	for _, object := range objects {
		live := owned[object.Ref]
		if object.Desired != nil || live == nil || live.GetDeletionTimestamp() != nil || keep(object) {
			continue
		}
		one, err := a.deleteObject(ctx, cluster, object, live)
		if err != nil {
			return nil, err
		}
		results = append(results, one)
	}
	return results, nil
}

// deleteObject deletes live. It returns an error when live has changed or ctx has ended.
func (a *applier) deleteObject(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, object render.Object, live client.Object,
) (objectResult, error) {
	uid := live.GetUID()
	err := a.client.Delete(ctx, live, client.Preconditions{UID: &uid},
		client.PropagationPolicy(metav1.DeletePropagationBackground))
	switch {
	case client.IgnoreNotFound(err) == nil:
	case ctx.Err() != nil, apierrors.IsConflict(err):
		return objectResult{}, fmt.Errorf("delete %s: %w", object, err)
	default:
		return objectResult{
			object:  object,
			outcome: outcomeFailed,
			problem: failureProblem("does not delete the "+object.String(), err),
			retry:   fmt.Errorf("delete %s: %w", object, err),
		}, nil
	}
	note := "Deleted " + object.String() + ": the spec no longer asks for it"
	log.FromContext(ctx).Info(note)
	a.events.changed(cluster, live, v1alpha1.ReasonDeleted, actionDelete, note)
	return objectResult{object: object, outcome: outcomeDeleted}, nil
}

// refusalProblem has the API server's own words for an object that it refuses, and names the patch that may be why.
func refusalProblem(object render.Object, err error) *status.Problem {
	message := "Kubernetes refuses the " + object.String() + ": " + shorten(err.Error()) + patchHint(object)
	return &status.Problem{Reason: v1alpha1.ReasonApplyRefused, Message: message}
}

// patchHint returns a clause that names the patch in the object, or "". The API server answers a value of a wrong type
// with an internal error as well.
func patchHint(object render.Object) string {
	if object.PatchField == "" {
		return ""
	}
	return "; " + object.PatchField + " is a part of it: correct or remove it"
}

// patchProblems returns a problem for each patch that cannot be applied.
func patchProblems(objects []render.Object) []status.Problem {
	parts := gatewayParts(objects)
	var problems []status.Problem
	for _, object := range objects {
		if object.PatchProblem != "" {
			problems = append(problems, status.Problem{
				Reason:         v1alpha1.ReasonPatchInvalid,
				Message:        shorten(object.PatchProblem),
				BlocksGateways: parts[object.Ref],
			})
		}
	}
	return problems
}

// failureProblem has the API server's own words for what failed and is tried again.
func failureProblem(what string, err error) *status.Problem {
	return &status.Problem{
		Reason:  v1alpha1.ReasonApplyRefused,
		Message: "Kubernetes " + what + ", the operator tries again: " + shorten(err.Error()),
	}
}
