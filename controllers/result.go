package controllers

import (
	"errors"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

// outcome is what a reconcile did to one object. It is a label value of a metric too.
type outcome string

const (
	// outcomeCreated means that the object did not exist and was written.
	outcomeCreated outcome = "created"
	// outcomeUpdated means that the object was written because its desired state has changed.
	outcomeUpdated outcome = "updated"
	// outcomeRepaired means that the object was written because another client had changed it.
	outcomeRepaired outcome = "repaired"
	// outcomeDeleted means that the object was deleted because the spec no longer asks for it.
	outcomeDeleted outcome = "deleted"
	// outcomeRefused means that the API server refused the object, and would refuse it again.
	outcomeRefused outcome = "refused"
	// outcomeFailed means that the object could not be written or deleted, and that another attempt may succeed.
	outcomeFailed outcome = "failed"
	// outcomeContested means that another client has changed the object, and that the operator leaves it so for a while
	// because that client has done it again and again.
	outcomeContested outcome = "contested"
	// outcomeForeign means that an object of the name exists that is not the operator's own, and was left alone.
	outcomeForeign outcome = "foreign"
)

// objectResult is what a reconcile did to one object, and what came of it.
type objectResult struct {
	object render.Object
	// outcome is empty when nothing was written.
	outcome outcome
	// change says why the object was written.
	change change
	// answer is the object as the API server has it now, or nil when it was not written.
	answer client.Object
	// problem is what the user has to know, or nil.
	problem *status.Problem
	// retry is the error that another attempt may cure, or nil.
	retry error
}

// blocked reports whether the object is wanted but is not there as desired, so that objects that need it must wait.
func (r objectResult) blocked() bool {
	if r.object.Desired == nil {
		return false
	}
	switch r.outcome {
	case outcomeForeign, outcomeRefused, outcomeFailed:
		return true
	default:
		return false
	}
}

// written reports whether the object was written.
func (r objectResult) written() bool {
	switch r.outcome {
	case outcomeCreated, outcomeUpdated, outcomeRepaired:
		return true
	default:
		return false
	}
}

// applyResult is what one reconcile did to the objects of a fleet.
type applyResult struct {
	// owned are the operator's own objects, those that this reconcile has written included.
	owned map[render.Ref]client.Object
	// known are the problems that were known before any object was looked at.
	known []status.Problem
	// contested are the problems with objects that another client changes again and again.
	contested []status.Problem
	// gatewayParts are the objects whose problems keep the gateways as they are.
	gatewayParts map[render.Ref]bool
	// release is what was held back of the operator's release.
	release release
	// objects are the results so far, in the order in which they came.
	objects []objectResult
}

// add appends a result.
func (r *applyResult) add(one objectResult) {
	if one.problem != nil {
		one.problem.BlocksGateways = one.blocked() && r.gatewayParts[one.object.Ref]
	}
	if one.answer != nil {
		r.owned[one.object.Ref] = one.answer
	}
	r.objects = append(r.objects, one)
}

// problems returns all problems, those that were known before first.
func (r *applyResult) problems() []status.Problem {
	all := slices.Clone(r.known)
	for _, one := range r.objects {
		if one.problem != nil {
			all = append(all, *one.problem)
		}
	}
	return append(all, r.contested...)
}

// gatewaysHeld reports whether a problem keeps the gateways as they are.
func (r *applyResult) gatewaysHeld() bool { return blockGateways(r.problems()) }

// blockGateways reports whether one of the problems keeps the gateways as they are.
func blockGateways(problems []status.Problem) bool {
	return slices.ContainsFunc(problems, func(problem status.Problem) bool { return problem.BlocksGateways })
}

// anyBlocked reports whether an object is blocked, which the operator cannot watch and has to check again.
func (r *applyResult) anyBlocked() bool {
	return slices.ContainsFunc(r.objects, objectResult.blocked)
}

// mustWait reports whether the object must not be written now: an object that it needs is blocked, or the gateways are
// kept as they are and the object is what they start from.
func (r *applyResult) mustWait(object render.Object) bool {
	if object.IsGateway() && r.gatewaysHeld() {
		return true
	}
	return slices.ContainsFunc(object.Needs, func(need render.Ref) bool {
		return slices.ContainsFunc(r.objects, func(one objectResult) bool {
			return one.object.Ref == need && one.blocked()
		})
	})
}

// wrote reports whether this reconcile wrote the object, so that no controller has observed it yet.
func (r *applyResult) wrote(ref render.Ref) bool {
	return slices.ContainsFunc(r.objects, func(one objectResult) bool {
		return one.object.Ref == ref && one.written()
	})
}

// retry returns the errors that another attempt may cure, joined, or nil.
func (r *applyResult) retry() error {
	var all error
	for _, one := range r.objects {
		all = errors.Join(all, one.retry)
	}
	return all
}

// ownedAs returns the operator's own object as a T, or nil when there is none.
func ownedAs[T client.Object](result *applyResult, ref render.Ref) T {
	object, _ := result.owned[ref].(T)
	return object
}

// gatewayParts returns what gateway pods start from: their Deployment, and all that it needs.
func gatewayParts(objects []render.Object) map[render.Ref]bool {
	parts := map[render.Ref]bool{}
	for _, object := range objects {
		if !object.IsGateway() {
			continue
		}
		parts[object.Ref] = true
		for _, need := range object.Needs {
			parts[need] = true
		}
	}
	return parts
}
